using System.Text.Json;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Accounts;

/// <summary>Gives a new platform its administrator, and every start a fresh one-time sign-in link and a usable login file.</summary>
internal sealed class FirstStart(IDbContextFactory<PlatformDb> databases, ServerOptions options, TimeProvider time)
{
    private static readonly TimeSpan LinkLifetime = TimeSpan.FromHours(24);

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Creates administrator and team if there are none; writes <c>login.json</c>; returns the sign-in link.</summary>
    public async Task<Uri> PrepareAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        var admin = await db.Users.OrderBy(u => u.CreatedAt).FirstOrDefaultAsync(u => u.IsAdministrator, cancellationToken);
        Guid teamId;
        if (admin is null)
        {
            admin = new User { Name = "Administrator", IsAdministrator = true, CreatedAt = now };
            var team = new Team { Slug = "admin", CreatedAt = now };
            teamId = team.Id;
            db.AddRange(admin, team, new Membership { TeamId = team.Id, UserId = admin.Id, Role = TeamRole.Owner });
        }
        else
        {
            teamId = (await db.Memberships.FirstAsync(m => m.UserId == admin.Id && m.Role == TeamRole.Owner, cancellationToken)).TeamId;
        }

        await KeepLoginAsync(db, admin.Id, teamId, now, cancellationToken);
        var link = Secret.Create("");
        await db.SignInLinks.Where(l => l.ExpiresAt < now).ExecuteDeleteAsync(cancellationToken);
        db.SignInLinks.Add(new SignInLink { UserId = admin.Id, TeamId = teamId, Hash = Secret.Hash(link), ExpiresAt = now + LinkLifetime });
        await db.SaveChangesAsync(cancellationToken);
        return new Uri(options.Url, "/signin?token=" + link);
    }

    /// <summary>Leaves the administrator's token where only the owner of the data folder can read it; keeps a token that still works.</summary>
    private async Task KeepLoginAsync(PlatformDb db, Guid userId, Guid teamId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var path = options.InData("login.json");
        string? token = null;
        if (File.Exists(path))
        {
            try
            {
                token = JsonSerializer.Deserialize<Login>(await File.ReadAllTextAsync(path, cancellationToken), Json)?.Token;
            }
            catch (JsonException)
            {
                // Damaged by hand: a new one replaces it.
            }
        }

        if (token is not null)
        {
            var hash = Secret.Hash(token);
            if (!await db.Tokens.AnyAsync(t => t.Hash == hash && !t.Session && (t.ExpiresAt == null || t.ExpiresAt > now), cancellationToken))
            {
                token = null;
            }
        }

        if (token is null)
        {
            token = Secret.Create("bp_");
            db.Tokens.Add(new ApiToken { UserId = userId, TeamId = teamId, Name = "login.json", Hash = Secret.Hash(token), CreatedAt = now });
        }

        await SafeFile.WriteAsync(path, JsonSerializer.SerializeToUtf8Bytes(new Login(options.Url.ToString().TrimEnd('/'), token), Json), cancellationToken);
    }

    private sealed record Login(string Url, string Token);
}

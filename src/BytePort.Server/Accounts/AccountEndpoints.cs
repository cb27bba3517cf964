using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Accounts;

internal static class AccountEndpoints
{
    private static readonly TimeSpan SessionLifetime = TimeSpan.FromDays(7);

    public static void MapAccounts(this IEndpointRouteBuilder app)
    {
        app.MapGet("/api/v1/whoami", WhoAmIAsync).WithName("whoAmI").WithTags("accounts").RequireAuthorization()
            .WithSummary("The user and team that the token speaks for");
        app.MapGet("/signin", SignInAsync).ExcludeFromDescription();
    }

    private static async Task<WhoAmI> WhoAmIAsync(Caller caller, PlatformDb db, CancellationToken cancellationToken)
        => await db.Users.Where(u => u.Id == caller.UserId)
            .SelectMany(u => db.Teams.Where(t => t.Id == caller.TeamId), (u, t) => new WhoAmI(u.Name, t.Slug, u.IsAdministrator))
            .FirstAsync(cancellationToken);

    /// <summary>Trades a one-time link for a session cookie; the link is used up in the same statement that finds it.</summary>
    private static async Task<Results<RedirectHttpResult, ProblemHttpResult>> SignInAsync(
        string? token, HttpContext context, PlatformDb db, ServerOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var hash = Secret.Hash(token ?? "");
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var used = await db.SignInLinks.Where(l => l.Hash == hash && l.UsedAt == null && l.ExpiresAt > now)
            .ExecuteUpdateAsync(set => set.SetProperty(l => l.UsedAt, now), cancellationToken);
        if (used == 0)
        {
            return Problems.Gone("link_used", "This sign-in link was used already or has expired. Start the server again ('byteport up') for a new one.");
        }

        var link = await db.SignInLinks.AsNoTracking().FirstAsync(l => l.Hash == hash, cancellationToken);
        var secret = Secret.Create("");
        db.Tokens.Add(new ApiToken
        {
            UserId = link.UserId,
            TeamId = link.TeamId,
            Name = "browser",
            Session = true,
            Hash = Secret.Hash(secret),
            CreatedAt = now,
            ExpiresAt = now + SessionLifetime,
        });
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        context.Response.Cookies.Append(TokenAuthentication.Cookie, secret, new CookieOptions
        {
            HttpOnly = true,
            SameSite = SameSiteMode.Lax,
            Secure = context.Request.IsHttps,
            MaxAge = SessionLifetime,
            Path = "/",
        });
        return TypedResults.LocalRedirect("/");
    }

    internal sealed record WhoAmI(string User, string Team, bool Administrator);
}

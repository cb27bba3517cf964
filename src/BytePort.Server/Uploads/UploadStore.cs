using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Uploads;

internal enum ReceiveOutcome
{
    Refused,
    TooLarge,
    Received,
}

/// <summary>Archives on their way to a deployment. Each lies in one file until its deployment has ended or its time is over.</summary>
internal sealed class UploadStore(IDbContextFactory<PlatformDb> databases, ServerOptions options, TimeProvider time)
{
    /// <summary>Packed archives are smaller than the 500 MiB that they may unpack to.</summary>
    public const long MaxBytes = 500L << 20;

    private static readonly TimeSpan TimeToSend = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan TimeToUse = TimeSpan.FromHours(1);

    public string PathOf(Guid id) => options.InData("uploads", id.ToString("N"));

    public async Task<(Guid Id, string Token, DateTimeOffset ExpiresAt)> CreateAsync(Guid teamId, CancellationToken cancellationToken)
    {
        await RemoveExpiredAsync(cancellationToken);
        var token = Secret.Create("");
        var upload = new Upload { TeamId = teamId, TokenHash = Secret.Hash(token), ExpiresAt = time.GetUtcNow() + TimeToSend };
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        db.Add(upload);
        await db.SaveChangesAsync(cancellationToken);
        return (upload.Id, token, upload.ExpiresAt);
    }

    /// <summary>Takes the archive. The address works once: the token is spent before the first byte is read.</summary>
    public async Task<ReceiveOutcome> ReceiveAsync(Guid id, string token, Stream body, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        var hash = Secret.Hash(token);
        var spent = await db.Uploads.Where(u => u.Id == id && u.TokenHash == hash && u.ExpiresAt > now)
            .ExecuteUpdateAsync(set => set.SetProperty(u => u.TokenHash, Array.Empty<byte>()), cancellationToken);
        if (spent == 0)
        {
            return ReceiveOutcome.Refused;
        }

        Directory.CreateDirectory(options.InData("uploads"));
        var path = PathOf(id);
        var size = 0L;
        try
        {
            await using (var file = new FileStream(path + ".part", FileMode.Create, FileAccess.Write, FileShare.None, 1))
            {
                var buffer = new byte[128 * 1024];
                int read;
                while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
                {
                    size += read;
                    if (size > MaxBytes)
                    {
                        return ReceiveOutcome.TooLarge;
                    }

                    await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                }

                file.Flush(flushToDisk: true);
            }

            File.Move(path + ".part", path, true);
        }
        finally
        {
            File.Delete(path + ".part");
        }

        await db.Uploads.Where(u => u.Id == id).ExecuteUpdateAsync(set => set
            .SetProperty(u => u.ReceivedAt, now)
            .SetProperty(u => u.Size, size)
            .SetProperty(u => u.ExpiresAt, now + TimeToUse), cancellationToken);
        return ReceiveOutcome.Received;
    }

    public async Task RemoveAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await db.Uploads.Where(u => u.Id == id).ExecuteDeleteAsync(cancellationToken);
        File.Delete(PathOf(id));
    }

    /// <summary>Removes uploads whose time is over and that no unfinished deployment needs.</summary>
    private async Task RemoveExpiredAsync(CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var now = time.GetUtcNow();
        var expired = await db.Uploads
            .Where(u => u.ExpiresAt < now && !db.Deployments.Any(d => d.UploadId == u.Id && d.FinishedAt == null))
            .Select(u => u.Id).Take(100).ToListAsync(cancellationToken);
        foreach (var id in expired)
        {
            await RemoveAsync(id, cancellationToken);
        }
    }
}

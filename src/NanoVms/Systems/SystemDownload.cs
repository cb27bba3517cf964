using System.Security.Cryptography;
using NanoVms.Images;

namespace NanoVms.Systems;

/// <summary>Fetches an archive and checks it against its sum: what does not match is gone before anything reads it.</summary>
internal static class SystemDownload
{
    private const long MaxBytes = 4L << 30;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(20);

    private static readonly HttpClient Http = new(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(20), MaxAutomaticRedirections = 5, AutomaticDecompression = System.Net.DecompressionMethods.None })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <exception cref="ImageException">It cannot be had, is too large, or is not what the sum says.</exception>
    public static async Task FetchAsync(ArchiveSource source, string path, long maxBytes, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            using var response = await Http.GetAsync(source.Url, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            if (!response.IsSuccessStatusCode)
                throw new ImageException($"{source.Url} cannot be fetched: the server answers {(int)response.StatusCode} {response.ReasonPhrase}.") { IsTransient = (int)response.StatusCode >= 500 };
            var digest = await CopyAsync(await response.Content.ReadAsStreamAsync(limit.Token), path, Math.Min(maxBytes, MaxBytes), source.Url, limit.Token);
            if (digest != source.Sha256)
                throw new ImageException($"{source.Url} is not what the catalogue says: its SHA-256 is {digest} and should be {source.Sha256}. Nothing of it was used.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new ImageException($"{source.Url} cannot be fetched: {e.Message}", e) { IsTransient = true };
        }
    }

    private static async Task<string> CopyAsync(Stream source, string path, long maxBytes, string url, CancellationToken cancellationToken)
    {
        await using var target = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        long length = 0;
        for (int count; (count = await source.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            if ((length += count) > maxBytes)
                throw new ImageException($"{url} is larger than {maxBytes >> 20} MiB.");
            hash.AppendData(buffer.AsSpan(0, count));
            await target.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

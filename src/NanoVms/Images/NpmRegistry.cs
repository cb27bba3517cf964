using System.Net;
using System.Security.Cryptography;
using System.Text.Json;

namespace NanoVms.Images;

/// <param name="Integrity">Subresource integrity, <c>sha512-…</c>.</param>
/// <param name="Engine">The Node versions it runs on, or null.</param>
internal sealed record NpmPackage(string Name, SemanticVersion Version, Uri Tarball, string Integrity, string? Engine);

/// <summary>Reads packages from an npm registry (github.com/npm/registry, "package metadata").</summary>
internal sealed class NpmRegistry(string cacheFolder, TimeProvider time)
{
    private const long MaxMetadata = 64L * 1024 * 1024;
    private const long MaxTarball = 512L * 1024 * 1024;
    private const int Attempts = 3;

    private static readonly TimeSpan Freshness = TimeSpan.FromHours(6);

    private static readonly HttpClient Http = new(new SocketsHttpHandler
    {
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ConnectTimeout = TimeSpan.FromSeconds(20),
        MaxAutomaticRedirections = 5,
    })
    {
        Timeout = TimeSpan.FromMinutes(10),
    };

    /// <summary>From <c>NPM_CONFIG_REGISTRY</c>, else the public one.</summary>
    public static Uri BaseUri
    {
        get
        {
            var text = Environment.GetEnvironmentVariable("NPM_CONFIG_REGISTRY") ?? Environment.GetEnvironmentVariable("npm_config_registry");
            if (string.IsNullOrWhiteSpace(text))
                text = "https://registry.npmjs.org/";
            return Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http"
                ? uri
                : throw new ImageException($"NPM_CONFIG_REGISTRY is '{text}', which is no http or https URL.");
        }
    }

    /// <summary>
    /// Every version of a package. Kept for six hours, and used for longer when the registry cannot be reached.
    /// </summary>
    public async Task<IReadOnlyList<NpmPackage>> GetVersionsAsync(string name, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(cacheFolder);
        var file = new FileInfo(Path.Combine(cacheFolder, Uri.EscapeDataString(name) + ".json"));
        if (file.Exists && time.GetUtcNow() - file.LastWriteTimeUtc < Freshness)
            return Parse(name, await File.ReadAllBytesAsync(file.FullName, cancellationToken));
        var uri = new Uri(BaseUri, name);
        try
        {
            var aside = $"{file.FullName}.{Guid.NewGuid():N}";
            await DownloadAsync(uri, aside, MaxMetadata, null, cancellationToken);
            var versions = Parse(name, await File.ReadAllBytesAsync(aside, cancellationToken));
            File.Move(aside, file.FullName, overwrite: true);
            return versions;
        }
        catch (ImageException e) when (e.IsTransient && file.Exists)
        {
            progress?.Report($"{uri} cannot be reached; what it said on {file.LastWriteTimeUtc:yyyy-MM-dd} is used.");
            return Parse(name, await File.ReadAllBytesAsync(file.FullName, cancellationToken));
        }
    }

    /// <summary>Fetches a package's tarball and compares its hash.</summary>
    public static async Task DownloadAsync(NpmPackage package, string path, CancellationToken cancellationToken) =>
        await DownloadAsync(package.Tarball, path, MaxTarball, package, cancellationToken);

    private static List<NpmPackage> Parse(string name, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var packages = new List<NpmPackage>();
            foreach (var property in document.RootElement.GetProperty("versions").EnumerateObject())
            {
                // Old versions have no sha512, and what cannot be verified is not taken.
                if (SemanticVersion.TryParse(property.Name, out var version)
                    && property.Value.TryGetProperty("dist", out var dist)
                    && Text(dist, "integrity") is { } integrity
                    && integrity.StartsWith("sha512-", StringComparison.Ordinal)
                    && Uri.TryCreate(Text(dist, "tarball"), UriKind.Absolute, out var tarball)
                    && tarball.Scheme is "https" or "http")
                {
                    var engine = property.Value.TryGetProperty("engines", out var engines) ? Text(engines, "node") : null;
                    packages.Add(new NpmPackage(name, version, tarball, integrity, engine));
                }
            }

            return packages;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ImageException($"The npm registry's answer about '{name}' is malformed: {e.Message}", e) { IsTransient = true };
        }
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    private static async Task DownloadAsync(Uri uri, string path, long limit, NpmPackage? package, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await DownloadOnceAsync(uri, path, limit, package, cancellationToken);
                return;
            }
            catch (Exception e) when (e is not ImageException { IsTransient: false })
            {
                File.Delete(path);
                cancellationToken.ThrowIfCancellationRequested();
                if (attempt == Attempts)
                    throw new ImageException($"Cannot fetch {uri}: {e.Message} Check the network, or set NPM_CONFIG_REGISTRY to a registry that can be reached.", e) { IsTransient = true };
            }

            await Task.Delay(TimeSpan.FromSeconds(attempt), cancellationToken);
        }
    }

    private static async Task DownloadOnceAsync(Uri uri, string path, long limit, NpmPackage? package, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        // The short form of a package's metadata, where the registry knows it.
        request.Headers.Accept.ParseAdd("application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*; q=0.5");
        using var response = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            throw new ImageException($"{uri} answered {(int)response.StatusCode} {response.ReasonPhrase}: the registry does not have it.");
        response.EnsureSuccessStatusCode();

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        await using (var content = await response.Content.ReadAsStreamAsync(cancellationToken))
        await using (var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 0, useAsync: true))
        {
            var buffer = new byte[128 * 1024];
            long size = 0;
            int read;
            while ((read = await content.ReadAsync(buffer, cancellationToken)) > 0)
            {
                size += read;
                if (size > limit)
                    throw new ImageException($"{uri} is larger than {limit / 1024 / 1024} MiB.");
                hash.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            }
        }

        var actual = "sha512-" + Convert.ToBase64String(hash.GetHashAndReset());
        // The field may hold several hashes; one of the kind we compute must be the right one.
        if (package is not null && !package.Integrity.Split(' ').Contains(actual))
            throw new ImageException($"{uri} is not what the registry says it is: {actual} instead of {package.Integrity}.");
    }
}

using System.Collections.Concurrent;
using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace NanoVms.Tests.Images.Oci;

/// <summary>A registry as the distribution specification describes it, as far as a client that pulls can see.</summary>
internal sealed class TestRegistry : IDisposable
{
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
    private readonly HttpListener _listener = new();
    private readonly ConcurrentDictionary<string, byte[]> _blobs = new();
    private readonly ConcurrentDictionary<string, string> _tags = new();

    public TestRegistry()
    {
        using (var probe = new TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            Host = $"127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}";
        }

        _listener.Prefixes.Add($"http://{Host}/");
        _listener.Start();
        _ = ServeAsync();
    }

    public string Host { get; }

    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>"user:password" that is asked for; null for none.</summary>
    public string? Credentials { get; set; }

    public int BlobRequests => Requests.Count(path => path.Contains("/blobs/", StringComparison.Ordinal));

    public static byte[] Layer(params TarEntry[] entries)
    {
        using var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var entry in entries)
                writer.WriteEntry(entry);
        }

        return tar.ToArray();
    }

    public static TarEntry File(string name, string content, int owner = 0, UnixFileMode mode = (UnixFileMode)0x1a4) => new PaxTarEntry(TarEntryType.RegularFile, name)
    {
        DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)),
        Mode = mode,
        Uid = owner,
        Gid = owner,
    };

    public static TarEntry Folder(string name) => new PaxTarEntry(TarEntryType.Directory, name) { Mode = (UnixFileMode)0x1ed };

    public static TarEntry Link(string name, string target) => new PaxTarEntry(TarEntryType.SymbolicLink, name) { LinkName = target };

    /// <summary>Adds an image of these uncompressed layers. Returns the digest of its manifest.</summary>
    /// <param name="diffIds">What the configuration says of the layers; null for the truth.</param>
    public string Push(string tag, IReadOnlyList<byte[]> layers, object? config = null, IReadOnlyList<string>? diffIds = null)
    {
        var descriptors = layers.Select(layer =>
        {
            var blob = Compress(layer);
            return new { mediaType = "application/vnd.oci.image.layer.v1.tar+gzip", digest = Keep(blob), size = blob.Length };
        }).ToList();
        var file = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = "amd64",
            os = "linux",
            config = config ?? new { },
            rootfs = new { type = "layers", diff_ids = diffIds ?? [.. layers.Select(Digest)] },
        });
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = ManifestType,
            config = new { mediaType = "application/vnd.oci.image.config.v1+json", digest = Keep(file), size = file.Length },
            layers = descriptors,
        });
        return _tags[tag] = Keep(manifest);
    }

    public void Dispose() => _listener.Close();

    private static string Digest(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";

    private static byte[] Compress(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest))
            gzip.Write(bytes);
        return output.ToArray();
    }

    private string Keep(byte[] bytes)
    {
        var digest = Digest(bytes);
        _blobs[digest] = bytes;
        return digest;
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            try
            {
                var context = await _listener.GetContextAsync();
                Answer(context);
                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                // Closed, by the test or by the client.
            }
        }
    }

    private void Answer(HttpListenerContext context)
    {
        var path = context.Request.Url!.AbsolutePath;
        Requests.Enqueue(path);
        var given = context.Request.Headers["Authorization"];
        if (Credentials is not null && given != "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(Credentials)))
        {
            context.Response.StatusCode = 401;
            context.Response.AddHeader("WWW-Authenticate", "Basic realm=\"test\"");
            return;
        }

        if (path == "/v2/")
            return;
        var name = path.Split('/')[^1];
        var isManifest = path.Contains("/manifests/", StringComparison.Ordinal);
        if (!_blobs.TryGetValue(isManifest ? _tags.GetValueOrDefault(name, name) : name, out var bytes))
        {
            context.Response.StatusCode = 404;
            return;
        }

        context.Response.ContentType = isManifest ? ManifestType : "application/octet-stream";
        context.Response.AddHeader("Docker-Content-Digest", Digest(bytes));
        context.Response.ContentLength64 = bytes.Length;
        if (context.Request.HttpMethod != "HEAD")
            context.Response.OutputStream.Write(bytes);
    }
}

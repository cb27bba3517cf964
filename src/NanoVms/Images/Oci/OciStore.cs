using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using NanoVms.Commands;
using NanoVms.Images.Collection;
using NanoVms.Network;

namespace NanoVms.Images.Oci;

/// <summary>
/// Images of registries, pulled by skopeo and kept as EROFS layers. Layers are named by their content's digest, so images share them;
/// what was fetched compressed is deleted once it is unpacked. Everything is written aside and renamed.
/// </summary>
internal sealed class OciStore(string folder, TimeProvider time)
{
    private const int MaxDocument = 4 << 20;
    private const int MaxLayers = 500;

    private static readonly string[] Refusals = ["unauthorized", "authentication required", "denied", "manifest unknown", "name unknown", "not found"];

    /// <summary>Machines have a limited number of disks; what lies below the uppermost layers becomes one.</summary>
    private const int MaxKept = 10;

    public string Records { get; } = Path.Combine(folder, "oci", "images");

    public string Layers { get; } = Path.Combine(folder, "oci", "layers");

    public string Aside { get; } = Path.Combine(folder, "oci", "aside");

    public IEnumerable<OciImage> Images => ReadRecords().Select(found => ToImage(found.Record));

    /// <summary>Every image that was fetched, with where its record is.</summary>
    public IEnumerable<(string Path, OciRecord Record)> ReadRecords() => Directory.Exists(Records)
        ? Directory.EnumerateFiles(Records, "*.json").Order(StringComparer.Ordinal)
            .Select(path => (path, Record: SafeFile.ReadJson(path, OciJson.Default.OciRecord)))
            .Where(found => found.Record is not null)
            .Select(found => (found.path, found.Record!))
        : [];

    public IEnumerable<string> PathsOf(OciRecord record) => record.Layers.Select(layer => Path.Combine(Layers, Path.GetFileName(layer)));

    public async Task<OciImage> PullAsync(string text, OciPullOptions options, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken)
    {
        var reference = OciReference.Parse(text);
        foreach (var path in (string[])[Records, Layers, Aside])
            _ = Directory.CreateDirectory(path);
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(reference.ToString())))[..32];
        using var held = await FileLock.AcquireAsync(
            Path.Combine(Aside, key + ".lock"), () => progress?.Report($"Another process fetches {reference}: waiting."), cancellationToken);

        var known = SafeFile.ReadJson(RecordPath(key), OciJson.Default.OciRecord);
        if (known is not null && !await lease.TryUseAsync([.. PathsOf(known), RecordPath(key)], cancellationToken))
            known = null;
        if (known is not null && known.IsFor(options.Owner) && await IsFinalAsync(reference, known, options, cancellationToken))
            return ToImage(known);

        var work = Path.Combine(Aside, key);
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        _ = Directory.CreateDirectory(work, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            return ToImage(await FetchAsync(reference, options, known, work, key, progress, lease, cancellationToken));
        }
        catch (CommandException e)
        {
            throw new ImageException($"{reference} cannot be fetched: {Reason(e)}", e) { IsTransient = e.Failure != CommandFailure.Missing && !IsRefusal(e) };
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>True when what is here need not be compared with what the registry has.</summary>
    private static async Task<bool> IsFinalAsync(OciReference reference, OciRecord known, OciPullOptions options, CancellationToken cancellationToken)
    {
        // A digest never changes: what runs must start without the registry.
        if (reference.Digest is not null)
            return true;
        if (options.Credentials is not null)
            return false;
        // Credentials are not kept: whoever wants what a tag means now fetches it with them again.
        if (known.Owners is not null)
            return true;
        // The operator has fetched it from a registry that this asker may not even reach.
        return !options.AllowPrivateAddresses && await FindPrivateAsync(reference, cancellationToken) is not null;
    }

    private async Task<OciRecord> FetchAsync(
        OciReference reference, OciPullOptions options, OciRecord? known, string work, string key, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken)
    {
        if (!options.AllowPrivateAddresses && await FindPrivateAsync(reference, cancellationToken) is { } inside)
            throw new ImageException($"{reference} cannot be fetched: its registry is at {inside}, which is not a public address.") { Fault = ImageFault.Invalid };
        var insecure = options.AllowInsecure || reference.IsLocal;
        var authFile = WriteCredentials(reference, options.Credentials, work);
        var (asked, remoteDigest) = await InspectAsync(reference, authFile, insecure, cancellationToken);
        IReadOnlyList<string>? owners = options.Credentials is null ? null : [.. options.Owner is { } owner ? new[] { owner } : []];
        if (known?.RemoteDigest == remoteDigest)
        {
            // The registry gave it to this asker too.
            if (owners is null || known.Owners is not null)
                known = known with { Owners = owners is null ? null : [.. known.Owners!.Union(owners)] };
            SafeFile.WriteJson(RecordPath(key), known, OciJson.Default.OciRecord);
            return known;
        }

        // From here on by digest: what is checked is what is fetched.
        var chosen = asked.Manifests.Count == 0 ? remoteDigest : ChoosePlatform(asked, reference);
        var exact = reference with { Tag = null, Digest = chosen };
        var offered = chosen == remoteDigest ? asked : (await InspectAsync(exact, authFile, insecure, cancellationToken)).Manifest;
        var size = offered.Layers.Sum(layer => Math.Max(0, layer.Size));
        if (size > options.MaxBytes || offered.Layers.Count > MaxLayers)
            throw new ImageException($"{reference} is too large: {offered.Layers.Count} layers of {size >> 20} MiB; {MaxLayers} layers and {options.MaxBytes >> 20} MiB are possible.");
        progress?.Report($"Fetching {reference}: {offered.Layers.Count} layers, {size >> 20} MiB.");
        var blobs = Path.Combine(work, "blobs");
        var image = Path.Combine(work, "image");
        _ = await CommandRunner.RunCheckedAsync(Skopeo.Copy(exact, authFile, insecure, blobs, image, options.MaxBytes), cancellationToken);

        var index = Read(await File.ReadAllBytesAsync(Path.Combine(image, "index.json"), cancellationToken), OciJson.Default.OciManifest, reference);
        var descriptor = index.Manifests.Count == 1 ? index.Manifests[0] : throw new ImageException($"{reference} has {index.Manifests.Count} manifests where one was expected.");
        var manifest = await ReadBlobAsync(blobs, descriptor.Digest, OciJson.Default.OciManifest, reference, cancellationToken);
        var config = await ReadBlobAsync(blobs, manifest.Config?.Digest ?? "", OciJson.Default.OciConfigFile, reference, cancellationToken);
        if (config.Rootfs is not { } root || root.DiffIds.Count != manifest.Layers.Count)
            throw new ImageException($"{reference} has {manifest.Layers.Count} layers, but its configuration names {config.Rootfs?.DiffIds.Count ?? 0}.");

        var maker = new OciLayers(Layers, Aside, options.MaxBytes, lease);
        var layers = await maker.MakeAsync(
            [.. manifest.Layers.Zip(root.DiffIds, (layer, diffId) => (BlobPath(blobs, layer.Digest, reference), diffId))], MaxKept, work, progress, cancellationToken);
        var record = new OciRecord
        {
            Reference = reference.ToString(),
            RemoteDigest = remoteDigest,
            Digest = chosen,
            Layers = layers,
            Config = config.Config ?? new OciConfig(),
            Owners = owners,
            MadeAt = time.GetUtcNow(),
        };
        SafeFile.WriteJson(RecordPath(key), record, OciJson.Default.OciRecord);
        _ = await lease.TryUseAsync([RecordPath(key)], cancellationToken);
        return record;
    }

    private static async Task<(OciManifest Manifest, string Digest)> InspectAsync(
        OciReference reference, string authFile, bool insecure, CancellationToken cancellationToken)
    {
        var answer = await CommandRunner.RunCheckedAsync(Skopeo.Inspect(reference, authFile, insecure), cancellationToken);
        var bytes = Encoding.UTF8.GetBytes(answer.StandardOutput);
        return (Read(bytes, OciJson.Default.OciManifest, reference), $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}");
    }

    /// <summary>The registry's address inside of the computer's own networks, or null.</summary>
    /// <remarks>A name may resolve to another address a moment later; that registry still has to speak TLS with a valid certificate.</remarks>
    private static async Task<IPAddress?> FindPrivateAsync(OciReference reference, CancellationToken cancellationToken)
    {
        var host = reference.Registry.Split(':')[0];
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
            return addresses.Select(address => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).FirstOrDefault(Firewall.IsPrivate);
        }
        catch (SocketException e)
        {
            throw new ImageException($"{reference} cannot be fetched: the registry '{host}' has no address.", e) { IsTransient = true };
        }
    }

    private static string ChoosePlatform(OciManifest index, OciReference reference) =>
        index.Manifests.FirstOrDefault(manifest => manifest.Platform is { Os: "linux", Architecture: "amd64" })?.Digest
        ?? throw new ImageException($"{reference} has no image for linux/amd64. It has {string.Join(", ", index.Manifests.Select(m => $"{m.Platform?.Os}/{m.Platform?.Architecture}").Distinct())}.");

    private OciImage ToImage(OciRecord record) =>
        new(record.Reference, record.Digest, [.. PathsOf(record)], record.Config);

    private string RecordPath(string key) => Path.Combine(Records, key + ".json");

    private static string WriteCredentials(OciReference reference, OciCredentials? credentials, string work)
    {
        var path = Path.Combine(work, "auth.json");
        var known = new Dictionary<string, Dictionary<string, string>>();
        if (credentials is not null)
            known[reference.Registry] = new() { ["auth"] = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credentials.User}:{credentials.Password}")) };
        SafeFile.WriteJson(path, new() { ["auths"] = known }, OciJson.Default.DictionaryStringDictionaryStringDictionaryStringString);
        return path;
    }

    private static async Task<T> ReadBlobAsync<T>(string blobs, string digest, JsonTypeInfo<T> type, OciReference reference, CancellationToken cancellationToken)
        where T : class
    {
        var path = BlobPath(blobs, digest, reference);
        if (new FileInfo(path).Length > MaxDocument)
            throw new ImageException($"{reference} has a document of more than {MaxDocument >> 20} MiB.");
        return Read(await File.ReadAllBytesAsync(path, cancellationToken), type, reference);
    }

    private static T Read<T>(byte[] json, JsonTypeInfo<T> type, OciReference reference)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new ImageException($"{reference} has a document that cannot be read: {e.Message}", e);
        }
    }

    private static string BlobPath(string blobs, string digest, OciReference reference)
    {
        var parts = digest.Split(':');
        if (parts.Length != 2 || parts[0] != "sha256" || parts[1].Length != 64 || !parts[1].All(char.IsAsciiHexDigitLower))
            throw new ImageException($"{reference} names '{digest}', which is no SHA-256 digest.");
        var path = Path.Combine(blobs, parts[0], parts[1]);
        return File.Exists(path) ? path : throw new ImageException($"{reference} names {digest}, which the registry did not give.");
    }

    /// <summary>True when the registry has answered, and would answer so again.</summary>
    private static bool IsRefusal(CommandException e) => Refusals.Any(word => Reason(e).Contains(word, StringComparison.OrdinalIgnoreCase));

    private static string Reason(CommandException e) => e.LastLines.Length > 0 ? e.LastLines.Split('\n')[^1] : e.Message;
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Images.Oci;

namespace NanoVms.Systems;

/// <summary>
/// Operating systems by name, each fetched, verified and made a layer once. A layer's file name follows from its entry, so a changed entry
/// makes another. Safe to use from several processes at once.
/// </summary>
/// <param name="images">Its folder holds the layers, and it pulls images of registries.</param>
/// <param name="file">The operator's catalogue; it may be missing, and is read at each question.</param>
public sealed class SystemStore(ImageStore images, string? file = null)
{
    // Part of every key: raised when the same entry would give another layer.
    private const string Version = "1";
    private const long MaxBytes = 16L << 30;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    private string Layers => Path.Combine(images.Folder, "systems");

    /// <summary>All that there are, by name.</summary>
    /// <exception cref="ImageException">The operator's file is wrong.</exception>
    public IReadOnlyList<SystemInfo> List()
    {
        var pulled = images.ListPulled().Select(image => image.Reference).ToHashSet();
        return [.. SystemCatalogue.Read(file).Select(entry => new SystemInfo(
            entry.Name, entry.Title, entry.Location, entry.Verification, entry.Registry is null ? File.Exists(PathOf(entry)) : pulled.Contains(entry.Registry.Image)))];
    }

    /// <summary>The layers of one, lowest first; fetched and made when they are not there yet.</summary>
    /// <param name="use">Keeps it until a machine stands on it; null for a use that ends with the call.</param>
    /// <exception cref="ImageException">There is none of that name, it cannot be had, or it is not what the catalogue says.</exception>
    public async Task<IReadOnlyList<string>> GetAsync(string name, IProgress<string>? progress, CancellationToken cancellationToken, ImageLease? use = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var entries = SystemCatalogue.Read(file);
        var entry = entries.FirstOrDefault(entry => entry.Name == name)
            ?? throw new ImageException($"There is no operating system '{name}' in the catalogue. Known are {string.Join(", ", entries.Select(entry => entry.Name))}.");
        if (entry.Registry is { } registry)
            return (await images.PullAsync(registry.Image, null, progress, cancellationToken, use)).Layers;

        var path = PathOf(entry);
        using var own = use is null ? images.BeginUse() : null;
        var lease = use ?? own!;
        if (await lease.TryUseAsync([path], cancellationToken))
            return [path];
        var aside = Directory.CreateDirectory(Path.Combine(Layers, "aside")).FullName;
        var work = Path.Combine(aside, Path.GetFileNameWithoutExtension(path));
        using var held = await FileLock.AcquireAsync(work + ".lock", () => progress?.Report($"Another process makes {name}: waiting."), cancellationToken);
        if (await lease.TryUseAsync([path], cancellationToken))
            return [path];
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        _ = Directory.CreateDirectory(work, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            progress?.Report($"Fetching {entry.Title}");
            await MakeAsync(entry, work, path, cancellationToken);
            return await lease.TryUseAsync([path], cancellationToken)
                ? [path]
                : throw new ImageException($"{entry.Title} was removed as soon as it was made. Try again.") { IsTransient = true };
        }
        catch (CommandException e)
        {
            throw new ImageException($"{entry.Title} could not be made: {(e.LastLines.Length > 0 ? e.LastLines : e.Message)}", e) { IsTransient = e.Failure != CommandFailure.Missing };
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>Steps: 1 the root, verified; 2 a layer aside; 3 its name.</summary>
    private static async Task MakeAsync(SystemEntry entry, string work, string path, CancellationToken cancellationToken)
    {
        // 1
        var root = Path.Combine(work, "root");
        if (entry.Apt is { } apt)
        {
            if (!File.Exists(apt.Keyring))
                throw new ImageException($"{entry.Title} needs the keys of its archive at {apt.Keyring}. Install them with: apt-get install {apt.KeyringPackage}");
            await CommandRunner.RunCheckedAsync(AptRoot.Command(apt, root), cancellationToken);
        }
        else
        {
            await UnpackAsync(entry.Archive!, work, root, cancellationToken);
        }

        // 2
        var layer = Path.Combine(work, "layer.erofs");
        await LayerPacker.PackImageAsync(root, layer, cancellationToken);
        File.SetUnixFileMode(layer, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        using (var handle = File.OpenHandle(layer))
            RandomAccess.FlushToDisk(handle);

        // 3
        File.Move(layer, path);
    }

    private static async Task UnpackAsync(ArchiveSource archive, string work, string root, CancellationToken cancellationToken)
    {
        var blob = Path.Combine(work, "archive");
        await SystemDownload.FetchAsync(archive, blob, MaxBytes, cancellationToken);
        if (await IsXzAsync(blob, cancellationToken))
        {
            // xz names what it unpacks after the file, without this ending.
            File.Move(blob, blob + ".xz");
            await CommandRunner.RunCheckedAsync(
                new Command("prlimit", $"--fsize={MaxBytes}", "--", ProgramLocator.Require("xz"), "--decompress", "--quiet", "--", blob + ".xz") { Timeout = Limit }, cancellationToken);
        }

        _ = Directory.CreateDirectory(root);
        await new OciLayerTar(blob, null, MaxBytes).UnpackAsync(root, cancellationToken);
        if (!Directory.Exists(Path.Combine(root, "bin")) && !Directory.Exists(Path.Combine(root, "usr")))
            throw new ImageException($"{archive.Url} holds no root file system: it has neither bin/ nor usr/.");
    }

    private static async Task<bool> IsXzAsync(string path, CancellationToken cancellationToken)
    {
        var magic = new byte[6];
        await using var file = File.OpenRead(path);
        return await file.ReadAtLeastAsync(magic, magic.Length, throwOnEndOfStream: false, cancellationToken) == magic.Length && magic.AsSpan().SequenceEqual((ReadOnlySpan<byte>)[0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]);
    }

    private string PathOf(SystemEntry entry)
    {
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Version}\n{JsonSerializer.Serialize(entry)}")))[..16];
        return Path.Combine(Layers, $"{entry.Name}-{key}.erofs");
    }
}

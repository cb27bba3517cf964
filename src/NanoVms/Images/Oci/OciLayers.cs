using System.Security.Cryptography;
using System.Text;
using NanoVms.Commands;
using NanoVms.Images.Collection;

namespace NanoVms.Images.Oci;

/// <summary>Makes EROFS files of an image's layers. A file's name follows from what is in it, so each is made once.</summary>
/// <param name="maxBytes">What all layers of an image may have together, unpacked.</param>
/// <param name="lease">Gets every layer, so that none goes before the image's record is there.</param>
internal sealed class OciLayers(string folder, string aside, long maxBytes, ImageLease lease)
{
    // Part of every name: raised when the same layer would give other bytes.
    private const string Version = "1";

    private long _bytes;

    /// <param name="layers">Files as they were fetched with the digests of their content, lowest first.</param>
    /// <param name="most">More layers than this become one below and the uppermost as they are.</param>
    /// <returns>Names of files in the folder, lowest first.</returns>
    public async Task<IReadOnlyList<string>> MakeAsync(
        IReadOnlyList<(string Blob, string DiffId)> layers, int most, string work, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var together = layers.Count > most ? layers.Count - most + 1 : 0;
        var names = new List<string>();
        if (together > 0)
            names.Add(await MakeMergedAsync([.. layers.Take(together)], work, progress, cancellationToken));
        foreach (var (blob, diffId) in layers.Skip(together))
        {
            var name = Name([diffId]);
            await MakeOnceAsync(name, work, root => UnpackAsync(blob, diffId, root, cancellationToken), root => root, progress, cancellationToken);
            names.Add(name);
        }

        return names;
    }

    private static string Name(IEnumerable<string> diffIds) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Version}\n{string.Join('\n', diffIds)}"))) + ".erofs";

    private async Task UnpackAsync(string blob, string diffId, string root, CancellationToken cancellationToken)
    {
        _ = Directory.CreateDirectory(root);
        _bytes += await new OciLayerTar(blob, diffId, maxBytes - _bytes).UnpackAsync(root, cancellationToken);
    }

    /// <summary>The kernel's own overlay of the layers, packed as it is seen: what deletes what is the kernel's business.</summary>
    private async Task<string> MakeMergedAsync(
        IReadOnlyList<(string Blob, string DiffId)> layers, string work, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var name = Name(layers.Select(layer => layer.DiffId));
        await MakeOnceAsync(
            name,
            work,
            async root =>
            {
                _ = Directory.CreateDirectory(root);
                for (var i = 0; i < layers.Count; i++)
                    await UnpackAsync(layers[i].Blob, layers[i].DiffId, Path.Combine(root, Number(i)), cancellationToken);
                // Relative names: the kernel takes a page of options, and an image may have many layers.
                var lower = string.Join(':', Enumerable.Range(0, layers.Count).Reverse().Select(Number));
                _ = Directory.CreateDirectory(Path.Combine(root, "merged"));
                await CommandRunner.RunCheckedAsync(
                    new Command("mount", "-t", "overlay", "-o", $"ro,lowerdir={lower}", "overlay", "merged") { WorkingDirectory = root }, cancellationToken);
            },
            root => Path.Combine(root, "merged"),
            progress,
            cancellationToken);
        return name;

        static string Number(int index) => index.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    private async Task MakeOnceAsync(
        string name, string work, Func<string, Task> fill, Func<string, string> rootOf, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, name);
        using var held = await FileLock.AcquireAsync(Path.Combine(aside, name + ".lock"), null, cancellationToken);
        while (!await lease.TryUseAsync([path], cancellationToken))
        {
            progress?.Report($"Unpacking layer {name[..12]}.");
            await MakeLayerAsync(path, work, fill, rootOf, cancellationToken);
        }
    }

    private static async Task MakeLayerAsync(string path, string work, Func<string, Task> fill, Func<string, string> rootOf, CancellationToken cancellationToken)
    {
        var root = Path.Combine(work, "root");
        var output = Path.Combine(work, "layer.erofs");
        try
        {
            await fill(root);
            await LayerPacker.PackImageAsync(rootOf(root), output, cancellationToken);
            File.SetUnixFileMode(output, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            using (var file = new FileStream(output, FileMode.Open, FileAccess.Read, FileShare.Read, 0))
                RandomAccess.FlushToDisk(file.SafeFileHandle);
            File.Move(output, path, overwrite: true);
        }
        finally
        {
            if (rootOf(root) != root && Directory.Exists(rootOf(root)))
                _ = await CommandRunner.RunAsync(new Command("umount", "--lazy", rootOf(root)), CancellationToken.None);
            if (Directory.Exists(root))
                Directory.Delete(root, recursive: true);
        }
    }
}

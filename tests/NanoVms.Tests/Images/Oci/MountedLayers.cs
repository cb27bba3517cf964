using NanoVms.Commands;

namespace NanoVms.Tests.Images.Oci;

/// <summary>Layers as a guest sees them: EROFS images, overlaid.</summary>
internal sealed class MountedLayers : IAsyncDisposable
{
    private readonly Stack<string> _mounts = new();
    private readonly string _root;

    private MountedLayers(string root) => _root = root;

    public string this[string path] => Path.Combine(_root, path);

    public static async Task<MountedLayers> MountAsync(string folder, IReadOnlyList<string> layers)
    {
        var mounted = new MountedLayers(Path.Combine(folder, "root"));
        var lower = new List<string>();
        foreach (var layer in layers)
        {
            var place = Path.Combine(folder, $"layer{lower.Count}");
            await mounted.MountAsync(place, "-t", "erofs", "-o", "ro,loop", layer);
            lower.Insert(0, place);
        }

        // One layer alone is no overlay.
        lower.Add(Directory.CreateDirectory(Path.Combine(folder, "nothing")).FullName);
        await mounted.MountAsync(mounted._root, "-t", "overlay", "-o", $"ro,lowerdir={string.Join(':', lower)}", "overlay");
        return mounted;
    }

    public IEnumerable<string?> List(string path) => Directory.EnumerateFileSystemEntries(Path.Combine(_root, path.TrimStart('/'))).Select(Path.GetFileName).Order(StringComparer.Ordinal);

    public async ValueTask DisposeAsync()
    {
        while (_mounts.TryPop(out var place))
        {
            await CommandRunner.RunCheckedAsync(new Command("umount", place), CancellationToken.None);
            Directory.Delete(place);
        }
    }

    private async Task MountAsync(string place, params string[] arguments)
    {
        _ = Directory.CreateDirectory(place);
        await CommandRunner.RunCheckedAsync(new Command("mount", [.. arguments, place]), CancellationToken.None);
        _mounts.Push(place);
    }
}

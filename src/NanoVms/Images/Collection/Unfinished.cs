using NanoVms.Commands;

namespace NanoVms.Images.Collection;

/// <summary>What processes that died left half made: their folders are those whose lock nobody holds.</summary>
internal sealed class Unfinished(string store, TimeProvider time)
{
    private readonly Trash _trash = new(store);

    // What has no lock is somebody's for as long as this; nothing takes longer.
    private static readonly TimeSpan LongestWork = TimeSpan.FromDays(1);

    /// <summary>Finds it, and removes it unless asked not to.</summary>
    public async Task<IReadOnlyList<CollectedItem>> ClearAsync(bool dryRun, CancellationToken cancellationToken)
    {
        var items = new List<CollectedItem>();
        foreach (var folder in (string[])[Path.Combine(store, "stacks", "aside"), Path.Combine(store, "oci", "aside"), Path.Combine(store, "systems", "aside")])
        {
            foreach (var work in Folders(folder, "*"))
                await ClearAsync(work, Path.Combine(folder, Path.GetFileName(work) + ".lock"), items, dryRun, cancellationToken);
        }

        foreach (var work in Folders(Path.Combine(store, "kernel"), ".new-*"))
            await ClearAsync(work, Path.Combine(store, "kernel", ".lock"), items, dryRun, cancellationToken);
        foreach (var work in Folders(Path.Combine(store, "kernel"), ".small-*"))
            await ClearAsync(work, Path.Combine(store, "kernel", ".small.lock"), items, dryRun, cancellationToken);
        foreach (var file in Old(Path.Combine(store, "initramfs"), ".new-*").Concat(Old(Path.Combine(store, "layers"), "aside-*")).Concat(Old(Path.Combine(store, "registry"), "*.json.*")))
        {
            items.Add(new CollectedItem("unfinished", file.Name, file.Length));
            if (!dryRun)
                file.Delete();
        }

        if (!dryRun)
            _trash.Empty();
        return items;
    }

    private async Task ClearAsync(string work, string lockPath, List<CollectedItem> items, bool dryRun, CancellationToken cancellationToken)
    {
        try
        {
            using var held = new FileStream(lockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 0);
            if (!Directory.Exists(work))
                return;
            var mounts = await MountsInAsync(work, cancellationToken);
            items.Add(new CollectedItem("unfinished", Path.GetFileName(work), mounts.Count > 0 ? 0 : SizeOf(work)));
            if (dryRun)
                return;
            foreach (var mount in mounts)
                await CommandRunner.RunCheckedAsync(new Command("umount", "--lazy", "--", mount), cancellationToken);
            // Programs that outlived whoever started them lose their way by this; they could fill the folder while it is deleted.
            _ = _trash.Take(work);
        }
        catch (IOException) when (Directory.Exists(work))
        {
            // Somebody works in it.
        }
    }

    private IEnumerable<FileInfo> Old(string folder, string pattern)
    {
        var before = (time.GetUtcNow() - LongestWork).UtcDateTime;
        return Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles(pattern).Where(file => file.LastWriteTimeUtc < before).ToList() : [];
    }

    private static IEnumerable<string> Folders(string folder, string pattern) => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, pattern).ToList() : [];

    private static async Task<List<string>> MountsInAsync(string folder, CancellationToken cancellationToken)
    {
        // proc(5), mountinfo: the fifth field is the mount point, blanks in octal. Our own folders have none.
        var lines = await File.ReadAllLinesAsync("/proc/self/mountinfo", cancellationToken);
        return [.. lines.Select(line => line.Split(' ')[4]).Where(point => point.StartsWith(folder + "/", StringComparison.Ordinal)).Reverse()];
    }

    private static long SizeOf(string folder) => new DirectoryInfo(folder)
        .EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true })
        .Sum(file => file.Length);
}

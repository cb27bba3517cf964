namespace NanoVms.Machines.Cgroups;

/// <summary>Finds the disk under a file, as control groups name it.</summary>
internal static class BlockDevices
{
    /// <summary>As <c>254:0</c>; null when the file system lies on no disk of its own, as over a network.</summary>
    public static string? DiskOf(string path)
    {
        var real = new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        var device = DeviceOf(File.ReadAllText("/proc/self/mountinfo"), real);
        if (device is null || !Directory.Exists($"/sys/dev/block/{device}"))
            return null;
        // A partition has no limits; its disk, whose folder it is in, has.
        if (!File.Exists($"/sys/dev/block/{device}/partition"))
            return device;
        var partition = new DirectoryInfo($"/sys/dev/block/{device}").ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        return File.ReadAllText(Path.Combine(Path.GetDirectoryName(partition)!, "dev")).Trim();
    }

    /// <summary>The device of the mount that holds a path, the last of those that lie deepest (proc(5)).</summary>
    internal static string? DeviceOf(string mountInfo, string path)
    {
        var mounts = mountInfo.Split('\n').Select(line => line.Split(' ')).Where(fields => fields.Length > 5);
        return mounts
            .Select(fields => (Device: fields[2], Place: fields[4].Replace("\\040", " ", StringComparison.Ordinal)))
            .Where(mount => mount.Place == "/" || path == mount.Place || path.StartsWith(mount.Place + "/", StringComparison.Ordinal))
            .Reverse()
            .MaxBy(mount => mount.Place.Length).Device;
    }
}

using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Lays the layers and the writable disk over each other and makes that the root.</summary>
internal static unsafe class RootFileSystem
{
    private static readonly string[] Kept = ["/proc", "/sys", "/dev"];

    /// <returns>A descriptor of a folder on the disk, or -1 without one.</returns>
    public static int Enter(GuestConfig config, Devices devices)
    {
        var lower = new List<string>();
        Files.MakeDirectory("/l");
        for (var i = 0; i < config.LayerDevices.Count; i++)
        {
            var folder = $"/l/{i}";
            Files.MakeDirectory(folder);
            Files.Mount(devices.Find(config.LayerDevices[i]), folder, "erofs", Mounts.ReadOnly | Mounts.NoAccessTimes);
            lower.Insert(0, folder);
        }

        var disk = PrepareUpper(config.DiskDevice is { } device ? devices.Find(device) : null);
        Files.MakeDirectory("/root");
        Files.Mount("overlay", "/root", "overlay", Mounts.NoAccessTimes, $"lowerdir={string.Join(':', lower)},upperdir=/d/upper,workdir=/d/work");
        foreach (var folder in Kept)
        {
            Files.MakeDirectory("/root" + folder);
            Files.Mount(folder, "/root" + folder, "", Mounts.Move);
        }

        Free();
        Switch();
        return disk;
    }

    private static int PrepareUpper(string? disk)
    {
        Files.MakeDirectory("/d");
        if (disk is null)
            Files.Mount("tmpfs", "/d", "tmpfs", 0, "mode=0755");
        else
            Files.Mount(disk, "/d", "ext4", Mounts.NoAccessTimes);
        Files.MakeDirectory("/d/upper");
        Files.MakeDirectory("/d/work");
        return disk is null ? -1 : Files.TryOpen("/d", Libc.O_RDONLY | Libc.O_DIRECTORY);
    }

    /// <summary>Frees the initramfs's memory. The agent's own pages stay for as long as it runs from them.</summary>
    private static void Free()
    {
        Files.TryUnlink("/init");
        foreach (var name in Files.List("/modules"))
            Files.TryUnlink("/modules/" + name);
    }

    private static void Switch()
    {
        // SAFETY: literals that end in a zero.
        fixed (byte* root = "/root\0"u8, here = ".\0"u8, top = "/\0"u8, none = "\0"u8)
        {
            if (Libc.ChangeDirectory(root) != 0
                || Libc.Mount(here, top, none, Mounts.Move, none) != 0
                || Libc.ChangeRoot(here) != 0
                || Libc.ChangeDirectory(top) != 0)
                throw AgentFailure.Of("cannot change to the new root");
        }
    }
}

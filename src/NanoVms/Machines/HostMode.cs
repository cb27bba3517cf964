using System.Globalization;
using System.Runtime.InteropServices;

namespace NanoVms.Machines;

/// <summary>With which rights machines are run, and so by which means.</summary>
public enum HostMode
{
    /// <summary>As root: a bridge for all machines, a user of its own for each, control groups; all drivers.</summary>
    Root,

    /// <summary>
    /// As an ordinary user: QEMU in a user namespace, its network by <c>passt</c>; nothing of the computer is changed. What takes a bridge,
    /// a device of the computer or limits of its disks is refused.
    /// </summary>
    User,
}

internal static partial class HostModes
{
    // capabilities(7), by their numbers: to make bridges, to be other users, to mount.
    private const ulong Needed = (1UL << 12) | (1UL << 7) | (1UL << 6) | (1UL << 21);

    /// <summary>That of this process.</summary>
    public static HostMode Current { get; } = Of(File.ReadAllText("/proc/self/status"));

    /// <summary>For people.</summary>
    public static string Describe(this HostMode mode) => mode == HostMode.Root
        ? "Machines run as root's: on a bridge, each as a user of its own."
        : string.Create(CultureInfo.InvariantCulture, $"Machines run without root, as user {GetUser()}: each in namespaces of its own, its network by passt.");

    /// <summary>Root of a container may lack what it takes, so what counts are the rights.</summary>
    internal static HostMode Of(string status)
    {
        var line = status.Split('\n').FirstOrDefault(line => line.StartsWith("CapEff:", StringComparison.Ordinal));
        var rights = line is null ? 0 : ulong.Parse(line["CapEff:".Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (rights & Needed) == Needed ? HostMode.Root : HostMode.User;
    }

    /// <summary>geteuid(2).</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetUser();
}

using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Drivers.Firecracker;

/// <summary>What decides a jailed Firecracker's command line.</summary>
internal sealed record JailerLaunch
{
    /// <summary>Absolute path of Firecracker; it is copied into the jail.</summary>
    public required string Firecracker { get; init; }

    public required string HostId { get; init; }

    public required string MachineId { get; init; }

    /// <summary>User and group, which nothing else has.</summary>
    public required uint UserId { get; init; }

    /// <summary>Absolute; the jail is <see cref="JailerArguments.RootOf"/>.</summary>
    public required string BaseFolder { get; init; }

    /// <summary>Absolute path of a network namespace, as in <c>/run/netns</c>; null for the computer's own.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary>1 or 2; null where the computer has no control groups.</summary>
    public int? CgroupVersion { get; init; }

    /// <summary>Relative to the hierarchies' roots, for example <c>byteport/HOST</c>; the jailer makes a group named as the machine in it.</summary>
    public string? ParentCgroup { get; init; }

    /// <summary>Files of the control group and what is written to them, for example <c>pids.max</c> and <c>512</c>.</summary>
    public IReadOnlyList<(string File, string Value)> CgroupLimits { get; init; } = [];

    /// <summary>The process becomes the first of a namespace of its own; its number is in <c>firecracker.pid</c> in the jail.</summary>
    public bool NewPidNamespace { get; init; }
}

/// <summary>
/// Writes the jailer's argument list (docs/jailer.md of Firecracker). Pure. The jailer makes a root folder with nothing but Firecracker,
/// <c>/dev/kvm</c>, <c>/dev/net/tun</c> and what was put there before, enters it, the control groups and the namespaces, drops its rights
/// and becomes Firecracker; paths in Firecracker's interface are those in the jail.
/// </summary>
internal static class JailerArguments
{
    public const string Program = "jailer";

    /// <summary>Files that Firecracker may have open: its disks, sockets and events.</summary>
    private const int MaxOpenFiles = 2048;

    /// <summary>The jail's root folder: Firecracker's <c>/</c>.</summary>
    public static string RootOf(JailerLaunch launch) => Path.Combine(
        launch.BaseFolder, Path.GetFileName(launch.Firecracker), FirecrackerArguments.Id(launch.HostId, launch.MachineId), "root");

    public static Command Build(string program, JailerLaunch launch)
    {
        List<string> arguments =
        [
            "--id", FirecrackerArguments.Id(launch.HostId, launch.MachineId),
            "--exec-file", launch.Firecracker,
            "--uid", Text(launch.UserId),
            "--gid", Text(launch.UserId),
            "--chroot-base-dir", launch.BaseFolder,
            "--resource-limit", $"no-file={Text(MaxOpenFiles)}",
        ];
        if (launch.NetworkNamespace is { } network)
            arguments.AddRange(["--netns", network]);
        if (launch.CgroupVersion is { } version)
        {
            arguments.AddRange(["--cgroup-version", Text((uint)version)]);
            if (launch.ParentCgroup is { } parent)
                arguments.AddRange(["--parent-cgroup", parent]);
            arguments.AddRange(launch.CgroupLimits.SelectMany(limit => new[] { "--cgroup", $"{limit.File}={limit.Value}" }));
        }

        if (launch.NewPidNamespace)
            arguments.Add("--new-pid-ns");
        // The jailer itself tells Firecracker its id.
        arguments.AddRange(["--", "--api-sock", FirecrackerArguments.ApiSocket, "--level", "Error"]);
        return new Command(program, [.. arguments]);
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

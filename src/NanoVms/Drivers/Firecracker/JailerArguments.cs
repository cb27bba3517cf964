using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Drivers.Firecracker;

/// <summary>What decides a jailed Firecracker's command line.</summary>
/// <param name="Firecracker">Its absolute path without links; the jailer copies it into the jail.</param>
/// <param name="UserId">User and group, which nothing else has.</param>
/// <param name="BaseFolder">Absolute; the jail is <see cref="JailerArguments.RootOf"/>.</param>
internal sealed record JailerLaunch(string Firecracker, string HostId, string MachineId, uint UserId, string BaseFolder);

/// <summary>
/// Writes the jailer's argument list (docs/jailer.md of Firecracker). Pure. The jailer makes a root folder with nothing but Firecracker,
/// <c>/dev/kvm</c>, <c>/dev/net/tun</c> and what was put there before, enters it, drops its rights and becomes Firecracker; paths in
/// Firecracker's interface are those in the jail. Namespaces and control groups it finds itself in already.
/// </summary>
internal static class JailerArguments
{
    public const string Program = "jailer";

    /// <summary>Files that Firecracker may have open: its disks, sockets and events.</summary>
    private const int MaxOpenFiles = 2048;

    /// <summary>The jail's root folder: Firecracker's <c>/</c>.</summary>
    public static string RootOf(JailerLaunch launch) => Path.Combine(
        launch.BaseFolder, Path.GetFileName(launch.Firecracker), FirecrackerArguments.Id(launch.HostId, launch.MachineId), "root");

    /// <summary>The same found again: a machine's base folder has one jail.</summary>
    /// <returns>Null when there is none.</returns>
    public static string? FindRoot(string baseFolder) => !Directory.Exists(baseFolder) ? null : Directory.EnumerateDirectories(baseFolder)
        .SelectMany(Directory.EnumerateDirectories).Select(folder => Path.Combine(folder, "root")).FirstOrDefault(Directory.Exists);

    public static Command Build(string program, JailerLaunch launch)
    {
        var user = launch.UserId.ToString(CultureInfo.InvariantCulture);
        return new Command(
            program,
            "--id", FirecrackerArguments.Id(launch.HostId, launch.MachineId),
            "--exec-file", launch.Firecracker,
            "--uid", user,
            "--gid", user,
            "--chroot-base-dir", launch.BaseFolder,
            "--resource-limit", $"no-file={MaxOpenFiles.ToString(CultureInfo.InvariantCulture)}",
            // The jailer itself tells Firecracker its id.
            "--", "--api-sock", FirecrackerArguments.ApiSocket, "--level", "Error");
    }
}

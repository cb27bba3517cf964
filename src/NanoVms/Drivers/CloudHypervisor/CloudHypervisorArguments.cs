using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>Writes Cloud Hypervisor's argument list. Pure.</summary>
internal static class CloudHypervisorArguments
{
    public const string Program = "cloud-hypervisor";

    /// <summary>The most disks: a PCI bus has 32 places, of which seven are taken by other devices.</summary>
    public const int MaxDisks = 20;

    /// <summary>The argument by which processes of a machine host are found among all others; the machine's id follows it.</summary>
    public static string Mark(string hostId) => $"path=nanovms-{hostId}-";

    /// <summary>The interface's socket, in the working folder: its name is what marks the process.</summary>
    public static string ApiSocket(string hostId, string machineId) => $"nanovms-{hostId}-{machineId}.sock";

    /// <summary>Everything else is told through the interface.</summary>
    /// <param name="eventsFile">Number of the open file that it tells events to.</param>
    public static Command Build(string program, string hostId, string machineId, int eventsFile) => new(
        program,
        "--api-socket", $"path={ApiSocket(hostId, machineId)}",
        "--event-monitor", $"fd={eventsFile.ToString(CultureInfo.InvariantCulture)}",
        // Also its default; said because the isolation rests on it.
        "--seccomp", "true");
}

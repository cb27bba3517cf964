using NanoVms.Commands;

namespace NanoVms.Drivers.Firecracker;

/// <summary>Writes Firecracker's argument list. Pure.</summary>
internal static class FirecrackerArguments
{
    public const string Program = "firecracker";

    /// <summary>The interface's socket, in the working folder.</summary>
    public const string ApiSocket = "api.sock";

    /// <summary>The most disks: 19 interrupts for devices, of which channel, network, randomness, balloon and the kernel's own take seven.</summary>
    public const int MaxDisks = 12;

    /// <summary>The name by which processes of a machine host are found among all others; the machine's id follows it.</summary>
    public static string Mark(string hostId) => $"nanovms-{hostId}-";

    /// <summary>Firecracker's ids are 1 to 64 letters, digits and hyphens.</summary>
    public static string Id(string hostId, string machineId) => Mark(hostId) + machineId;

    /// <summary>Everything else is told through the interface. Its own seccomp filters are on unless they are turned off.</summary>
    public static Command Build(string program, string hostId, string machineId) =>
        new(program, "--id", Id(hostId, machineId), "--api-sock", ApiSocket, "--level", "Error");

    /// <summary>How the guest's kernel names the disk of this place: they are found in the order in which they were described.</summary>
    public static string DeviceOf(int index) => $"/dev/vd{(char)('a' + index)}";
}

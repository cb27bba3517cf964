using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Network;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// Gives taps to a hypervisor that opens them by their names, and has a network of its own in which they are not: they are in it for a
/// moment, as its user's; once it has them open they come back to the bridge. What is open stays so, and a tap ends with its hypervisor.
/// </summary>
internal sealed partial class LentTaps
{
    /// <summary>The names of the taps that were lent, in the machine's folder; what is left of them after a crash is found by it.</summary>
    private const string FileName = "taps";
    private const string Device = "/dev/net/tun";
    private const nuint SetPersistent = 0x400454cb;
    private const nuint SetOwner = 0x400454cc;
    private const nint PidFdOpen = 434;
    private const nint PidFdGetFile = 438;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly IReadOnlyList<BridgePort> _ports;
    private readonly GuestBridge? _bridge;

    private LentTaps(IReadOnlyList<BridgePort> ports, GuestBridge? bridge)
    {
        _ports = ports;
        _bridge = bridge;
    }

    /// <summary>Moves the taps of a machine into its hypervisor's network.</summary>
    /// <exception cref="NetworkException">The kernel refuses.</exception>
    /// <exception cref="CommandException">The kernel refuses.</exception>
    public static async Task<LentTaps> LendAsync(MachinePlan plan, ProcessIdentity process, CancellationToken cancellationToken)
    {
        var ports = plan.Cards.Select(card => card.Card.Port).ToList();
        if (ports.Count == 0)
            return new LentTaps([], null);
        await File.WriteAllLinesAsync(Path.Combine(plan.Folder, FileName), ports.Select(port => port.Lease.Tap), cancellationToken);
        foreach (var card in plan.Cards)
        {
            // It outlives this process's file, so that the hypervisor can open it when that is closed.
            if (Control(card.Tap!, SetOwner, plan.Lease.UserId) != 0 || Control(card.Tap!, SetPersistent, 1) != 0)
                throw new NetworkException($"Cannot hand tap {card.Card.Port.Lease.Tap} over: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        }

        _ = await CommandRunner.RunCheckedAsync(IpCommands.Batch(ports.SelectMany(port => IpCommands.MoveLink(port.Lease.Tap, process.Id))), cancellationToken);
        return new LentTaps(ports, plan.Bridge);
    }

    /// <summary>Takes them back, now that the hypervisor has all of them open.</summary>
    /// <exception cref="CommandException">The kernel refuses.</exception>
    public async Task TakeBackAsync(ProcessIdentity process, CancellationToken cancellationToken)
    {
        if (_ports.Count == 0)
            return;
        Tie(process);
        _ = await CommandRunner.RunCheckedAsync(
            IpCommands.BatchIn(process.Id, _ports.SelectMany(port => IpCommands.MoveLink(port.Lease.Tap, Environment.ProcessId))) with { Timeout = Limit }, cancellationToken);
        foreach (var port in _ports)
            await (_bridge?.ReplugAsync(port, cancellationToken) ?? Task.CompletedTask);
    }

    /// <summary>Removes taps that were lent and are still there.</summary>
    public static async Task RemoveAsync(string machineFolder, CancellationToken cancellationToken)
    {
        var file = Path.Combine(machineFolder, FileName);
        if (!File.Exists(file))
            return;
        var left = (await File.ReadAllLinesAsync(file, cancellationToken)).Where(name => name.Length > 0 && Directory.Exists($"/sys/class/net/{name}")).ToList();
        // One that ends with its process may be gone meanwhile.
        if (left.Count > 0)
            _ = await CommandRunner.RunAsync(IpCommands.Batch(left.SelectMany(IpCommands.DeleteLink)), cancellationToken);
        File.Delete(file);
    }

    /// <summary>Ties the taps to the process that opened them. Where the kernel does not allow that, <see cref="RemoveAsync"/> takes them away.</summary>
    private static void Tie(ProcessIdentity process)
    {
        try
        {
            foreach (var link in Directory.EnumerateFileSystemEntries($"/proc/{process.Id.ToString(CultureInfo.InvariantCulture)}/fd"))
            {
                if (new FileInfo(link).LinkTarget == Device)
                    Tie(process.Id, int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process is gone.
        }
    }

    private static void Tie(int process, int number)
    {
        using var handle = new SafeFileHandle((nint)SystemCall(PidFdOpen, process, 0, 0), ownsHandle: true);
        if (handle.IsInvalid)
            return;
        using var copy = new SafeFileHandle((nint)SystemCall(PidFdGetFile, handle.DangerousGetHandle(), number, 0), ownsHandle: true);
        if (!copy.IsInvalid)
            _ = Control(copy, SetPersistent, 0);
    }

    // Each returns a descriptor or 0, and -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeHandle file, nuint request, nuint argument);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third);
}

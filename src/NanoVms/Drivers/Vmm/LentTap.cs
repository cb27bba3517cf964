using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Network;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// Gives a tap to a hypervisor that opens it by its name and cannot be handed an open one: for a moment the tap exists by itself, owned by
/// the hypervisor's user; once the hypervisor holds it, it ends with the hypervisor again.
/// </summary>
internal static partial class LentTap
{
    /// <summary>The name of a tap that was lent, in the machine's folder; what is left of it after a crash is found by it.</summary>
    private const string FileName = "tap";
    private const string Device = "/dev/net/tun";
    private const nuint SetPersistent = 0x400454cb;
    private const nuint SetOwner = 0x400454cc;
    private const nint PidFdOpen = 434;
    private const nint PidFdGetFile = 438;

    /// <exception cref="NetworkException">The hypervisor's user may not open taps.</exception>
    public static void Lend(SafeHandle tap, string machineFolder, string name, uint user)
    {
        const UnixFileMode All = UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
        if ((File.GetUnixFileMode(Device) & All) != All)
            throw new NetworkException($"Only root may open {Device}, and hypervisors do not run as root. Allow it with: chmod 666 {Device}. It gives nobody a right to any tap.");
        Hand(tap, machineFolder, name, user);
    }

    internal static void Hand(SafeHandle tap, string machineFolder, string name, uint user)
    {
        File.WriteAllText(Path.Combine(machineFolder, FileName), name);
        if (Control(tap, SetOwner, user) != 0 || Control(tap, SetPersistent, 1) != 0)
            throw new NetworkException($"Cannot hand tap {name} over: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    /// <summary>Ties the tap to the process that opened it. False where the kernel does not allow that: then <see cref="RemoveAsync"/> takes the tap away.</summary>
    public static bool TryTie(ProcessIdentity process)
    {
        try
        {
            foreach (var link in Directory.EnumerateFileSystemEntries($"/proc/{process.Id.ToString(CultureInfo.InvariantCulture)}/fd"))
            {
                if (new FileInfo(link).LinkTarget == Device && TryTie(process.Id, int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture)))
                    return true;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process is gone.
        }

        return false;
    }

    /// <summary>Removes a tap that was lent and is still there.</summary>
    public static async Task RemoveAsync(string machineFolder, CancellationToken cancellationToken)
    {
        var file = Path.Combine(machineFolder, FileName);
        if (!File.Exists(file))
            return;
        var name = (await File.ReadAllTextAsync(file, cancellationToken)).Trim();
        if (name.Length > 0 && Directory.Exists($"/sys/class/net/{name}"))
            _ = await CommandRunner.RunCheckedAsync(new Command("ip", "link", "delete", "dev", name), cancellationToken);
        File.Delete(file);
    }

    private static bool TryTie(int process, int number)
    {
        using var handle = new SafeFileHandle((nint)SystemCall(PidFdOpen, process, 0, 0), ownsHandle: true);
        if (handle.IsInvalid)
            return false;
        using var copy = new SafeFileHandle((nint)SystemCall(PidFdGetFile, handle.DangerousGetHandle(), number, 0), ownsHandle: true);
        return !copy.IsInvalid && Control(copy, SetPersistent, 0) == 0;
    }

    // Each returns a descriptor or 0, and -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeHandle file, nuint request, nuint argument);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third);
}

using System.ComponentModel;
using System.Runtime.InteropServices;
using NanoVms.Commands;

namespace NanoVms.Drivers.Isolation;

/// <summary>What a hypervisor's process sees while it starts.</summary>
/// <param name="Files">Files and folders that it may read, by their paths on the computer; those that are not there are left out.</param>
/// <param name="Devices">Nodes under /dev beside null and urandom.</param>
/// <param name="Folder">The one folder that it may write, and its working folder, by the same path as on the computer; it is never taken away. Null for none.</param>
internal sealed record JailPlan(IReadOnlyList<string> Files, IReadOnlyList<string> Devices, string? Folder = null)
{
    /// <summary>Files that it sees in <see cref="Folder"/> under other names than they have.</summary>
    public IReadOnlyList<JailPlace> Places { get; init; } = [];

    /// <summary>Who may open the taps of its network, at <c>/dev/net/tun</c>; null for no such device.</summary>
    public uint? TapUser { get; init; }

    /// <summary>True when the command makes a root by itself, of <see cref="Folder"/>; it starts with the computer's root and all rights then.</summary>
    public bool HasOwnRoot { get; init; }

    /// <summary>Memory that it may lock; null for what all may.</summary>
    public long? LockedBytes { get; init; }
}

/// <param name="Name">In the jail's folder; may be in a folder there.</param>
/// <param name="Source">On the computer.</param>
internal sealed record JailPlace(string Name, string Source, bool IsReadOnly);

/// <summary>
/// Starts a process in namespaces of its own for mounts, processes, network, communication and host name, with a root of its own that holds
/// what it needs to start and nothing else. The user namespace is the command's work: <see cref="Unprivileged.WrapApart"/>.
/// </summary>
internal static partial class Jail
{
    private const string Root = PrivateMounts.Folder;
    private const int NewMounts = 0x20000;
    private const int NewHostName = 0x4000000;
    private const int NewCommunication = 0x8000000;
    private const int NewProcesses = 0x20000000;
    private const int NewNetwork = 0x40000000;
    private const int OwnFolders = 0x200;
    private const int Detach = 2;
    private const nint CallChangeFolder = 80;
    private const nint CallPivotRoot = 155;
    private const nint CallUnmount = 166;
    private const nint CallSetHostName = 170;
    private const nint CallUnshare = 272;
    private const nint CallSetNamespace = 308;

    /// <summary>Where programs have their libraries: everything that they load is there, and nothing that is anybody's.</summary>
    internal static readonly string[] Libraries =
        ["/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache"];

    /// <summary>Own processes alone; before Linux 5.8 with what else is in /proc.</summary>
    private static readonly string?[] ProcessOptions = ["hidepid=4,subset=pid", "hidepid=2", null];

    /// <summary>Whether the computer has user namespaces; without, a process has a user of its own and no rights all the same.</summary>
    public static bool HasUserNamespaces { get; } = File.Exists("/proc/self/ns/user") && ReadOr("/proc/sys/user/max_user_namespaces", "1").Trim() != "0";

    /// <summary>A command as a user of its own, without rights, in a user namespace of its own where there are any.</summary>
    public static Command Wrap(Command command, uint userId, uint? group) =>
        HasUserNamespaces ? Unprivileged.WrapApart(command, userId, group) : Unprivileged.Wrap(command, userId, group: group);

    /// <param name="command">What the process becomes; all of its programs are among the plan's files.</param>
    /// <exception cref="CommandException">It cannot be started; also when the computer has no such namespaces.</exception>
    public static async Task<ProcessIdentity> StartAsync(JailPlan plan, Command command, IReadOnlyList<SafeHandle> handles, SafeHandle error)
    {
        _ = Directory.CreateDirectory(Root);
        using var prepared = DetachedProcess.Prepare(command, handles, error, plan.Folder);
        DetachedProcess.WarmUp();
        try
        {
            var (result, id) = await Aside.RunAsync(() => Start(plan, prepared), "hypervisor start");
            DetachedProcess.Check(result, command);
            return ProcessIdentity.OfChild(id);
        }
        catch (IOException e)
        {
            throw new CommandException($"Cannot start '{command.Program}' apart from the computer: {e.Message}", command.Program, CommandFailure.NotStarted, inner: e);
        }
    }

    /// <summary>
    /// Takes everything away that a process needed to start only: its root is empty then, and nothing comes back. What it has open and
    /// loaded stays. Again is no harm.
    /// </summary>
    /// <param name="folder">What it may keep; null for nothing.</param>
    /// <exception cref="IOException">The process is gone, or the kernel refuses.</exception>
    public static async Task StripAsync(ProcessIdentity process, string? folder = null)
    {
        var shown = $"/proc/{process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)}";
        var mounts = (await File.ReadAllLinesAsync(shown + "/mountinfo"))
            .Select(line => line.Split(' ')[4].Replace("\\040", " ", StringComparison.Ordinal)).Where(place => place != "/" && place != folder).Reverse().ToList();
        if (mounts.Count == 0)
            return;
        // What is mounted at the root of a process that is in no jail is the computer's own.
        if (File.ResolveLinkTarget(shown + "/ns/mnt", returnFinalTarget: false)?.FullName == File.ResolveLinkTarget("/proc/self/ns/mnt", returnFinalTarget: false)?.FullName)
            return;
        using var space = File.OpenHandle(shown + "/ns/mnt");
        var places = mounts.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
        try
        {
            var error = await Aside.RunAsync(() => Strip((int)space.DangerousGetHandle(), places), "hypervisor strip");
            if (error != 0)
                throw new IOException($"Cannot take the files of process {process.Id} away: {new Win32Exception(error).Message}.");
        }
        finally
        {
            foreach (var place in places)
                Marshal.FreeCoTaskMem(place);
        }
    }

    private static string ReadOr(string path, string otherwise)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return otherwise;
        }
    }

    private static unsafe (int Error, int Process) Start(JailPlan plan, DetachedProcess.Prepared prepared)
    {
        var spaces = NewMounts | NewHostName | NewCommunication | NewProcesses | NewNetwork;
        Check(Call(CallUnshare, spaces, 0, 0), "make namespaces");
        fixed (byte* name = "machine"u8)
            Check(Call(CallSetHostName, (nint)name, 7, 0), "set a host name");
        Mounting.Mount("none", "/", null, Mounting.Recursive | Mounting.Slave, null);
        if (plan.HasOwnRoot)
        {
            ShowPlaces(plan, "");
            return (prepared.TryStart(out var own), own);
        }

        MakeRoot(plan);
        fixed (byte* root = "/run/nanovms\0"u8, here = ".\0"u8, top = "/\0"u8)
        {
            Check(Call(CallChangeFolder, (nint)root, 0, 0), $"enter {Root}");
            // From here on this thread has no files: no code may be loaded any more, and none thrown.
            var error = Try(CallPivotRoot, (nint)here, (nint)here);
            if (error == 0)
                error = Try(CallUnmount, (nint)here, Detach);
            if (error == 0)
                error = Try(CallChangeFolder, (nint)top, 0);
            return error == 0 ? (prepared.TryStart(out var id), id) : (error, 0);
        }
    }

    private static void MakeRoot(JailPlan plan)
    {
        const ulong Closed = Mounting.NoSuid | Mounting.NoDevices;
        Mounting.Mount("tmpfs", Root, "tmpfs", Mounting.NoSuid, "mode=0755,size=64k");
        foreach (var path in Libraries.Concat(plan.Files).Distinct())
        {
            if (Directory.Exists(path) && new DirectoryInfo(path).LinkTarget is { } target && path.LastIndexOf('/') == 0)
            {
                File.CreateSymbolicLink(Root + path, target);
            }
            else if (Path.Exists(path))
            {
                Bind(path, Root + path, Closed | Mounting.ReadOnly);
            }
        }

        foreach (var device in plan.Devices.Prepend("/dev/null").Prepend("/dev/urandom").Where(Path.Exists))
            Bind(device, Root + device, Mounting.NoSuid);
        if (plan.TapUser is { } user)
            MakeTapDevice(user);
        if (plan.Folder is { } folder)
            Bind(folder, Root + folder, Closed | Mounting.NoExecute);
        ShowPlaces(plan, Root);
        var processes = Directory.CreateDirectory(Root + "/proc").FullName;
        MountProcesses(processes, 0);
        Mounting.Mount("none", Root, null, Mounting.Remount | Mounting.Bind | Mounting.ReadOnly | Mounting.NoSuid, null);
    }

    /// <summary>A mount of its own, so that it goes with the others.</summary>
    private static void MakeTapDevice(uint user)
    {
        var folder = Directory.CreateDirectory($"{Root}/dev/net").FullName;
        Mounting.Mount("tmpfs", folder, "tmpfs", Mounting.NoSuid | Mounting.NoExecute, "mode=0755,size=4k");
        Mounting.MakeTapDevice($"{folder}/tun", user);
    }

    private static void ShowPlaces(JailPlan plan, string root)
    {
        foreach (var place in plan.Places)
            Bind(place.Source, Path.Combine(root + plan.Folder, place.Name), Mounting.NoSuid | Mounting.NoDevices | Mounting.NoExecute | (place.IsReadOnly ? Mounting.ReadOnly : 0));
    }

    private static void MountProcesses(string place, int choice)
    {
        try
        {
            Mounting.Mount("proc", place, "proc", Mounting.NoSuid | Mounting.NoDevices | Mounting.NoExecute, ProcessOptions[choice]);
        }
        catch (IOException) when (choice < ProcessOptions.Length - 1)
        {
            MountProcesses(place, choice + 1);
        }
    }

    /// <summary>The same at another place, with the flags in addition.</summary>
    private static void Bind(string path, string place, ulong flags)
    {
        if (Directory.Exists(path))
        {
            _ = Directory.CreateDirectory(place);
        }
        else if (!Path.Exists(place))
        {
            _ = Directory.CreateDirectory(Path.GetDirectoryName(place)!);
            Mounting.MakeFile(place);
        }

        Mounting.Mount(path, place, null, Mounting.Bind, null);
        Mounting.Mount("none", place, null, Mounting.Remount | Mounting.Bind | flags, null);
    }

    private static int Strip(int space, nint[] places)
    {
        // Only a thread with a working folder of its own may change its mounts.
        var error = Try(CallUnshare, OwnFolders, 0);
        if (error == 0)
            error = Try(CallSetNamespace, space, NewMounts);
        for (var i = 0; error == 0 && i < places.Length; i++)
            error = Try(CallUnmount, places[i], Detach);
        return error;
    }

    private static int Try(nint number, nint first, nint second) => Call(number, first, second, 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    private static void Check(nint result, string doing)
    {
        if (result != 0)
            throw new IOException($"Cannot {doing}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    /// <summary>syscall(2): 0, or -1 and errno.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Call(nint number, nint first, nint second, nint third);
}

using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Isolation;

/// <summary>File systems by the kernel's own calls: mount(8) of Debian 12 can neither map owners nor make a mount without a place.</summary>
internal static unsafe partial class Mounting
{
    public const ulong ReadOnly = 1;
    public const ulong NoSuid = 2;
    public const ulong NoDevices = 4;
    public const ulong NoExecute = 8;
    public const ulong Remount = 32;
    public const ulong NoAccessTimes = 1024;
    public const ulong Bind = 4096;
    public const ulong Recursive = 16384;
    public const ulong Slave = 1 << 19;

    private const int OpenTree = 428;
    private const int MoveMount = 429;
    private const int MountSetAttributes = 442;
    private const int WorkingFolder = -100;
    private const int CloseOnExec = 0x80000;
    private const int EmptyPath = 0x1000;
    private const int Clone = 1;
    private const int MoveFromEmptyPath = 4;
    private const ulong AttributeIdMap = 0x100000;
    private const int NewMounts = 0x20000;
    private const int Detach = 2;
    private const int BlockDevice = 0x6000;
    private const int CharacterDevice = 0x2000;
    private const int RegularFile = 0x8000;
    private const uint OwnerOnly = 0x180;

    /// <summary>Gives this thread mounts of its own, which end with it and with what it starts; unmounts of the computer still reach it.</summary>
    public static void Separate()
    {
        Check(Unshare(NewMounts), "separate a machine's mounts from the computer's");
        Mount("none", "/", null, Recursive | Slave, null);
    }

    /// <exception cref="IOException">The kernel refused.</exception>
    public static void Mount(string source, string target, string? type, ulong flags, string? options) =>
        Check(MountCall(source, target, type, flags, options), $"mount {source}{(type is null ? "" : $" ({type})")} on {target}");

    public static void Unmount(string target) => Check(UnmountCall(target, Detach), $"unmount {target}");

    /// <summary>Makes what is mounted somewhere appear there as a user namespace's: its user 0 owns what is user 0's on the disk.</summary>
    public static void MapOwners(string target, SafeFileHandle userNamespace)
    {
        using var tree = Handle(Call(OpenTree, WorkingFolder, target, Clone | CloseOnExec), $"open the mount {target}");
        // struct mount_attr: set, clear, propagation, user namespace.
        var attributes = stackalloc ulong[] { AttributeIdMap, 0, 0, (ulong)userNamespace.DangerousGetHandle() };
        // SAFETY: four words, whose size is passed.
        Check((int)SetAttributes(MountSetAttributes, (int)tree.DangerousGetHandle(), "", EmptyPath, attributes, 32), $"map the owners of {target}");
        Check((int)Move(MoveMount, (int)tree.DangerousGetHandle(), "", WorkingFolder, target, MoveFromEmptyPath), $"mount {target} with mapped owners");
        GC.KeepAlive(userNamespace);
    }

    public static void MakeBlockDevice(string path, ulong device, uint owner)
    {
        Check(MakeNode(path, BlockDevice | OwnerOnly, device), $"make the device {path}");
        ChangeOwner(path, owner);
    }

    /// <summary>A node at which taps are opened.</summary>
    public static void MakeTapDevice(string path, uint owner)
    {
        const ulong TapDevice = (10 << 8) | 200;
        Check(MakeNode(path, CharacterDevice | OwnerOnly, TapDevice), $"make the device {path}");
        ChangeOwner(path, owner);
    }

    /// <summary>
    /// An empty file that was never open. A program that this process starts meanwhile holds what is open until it runs, and a mount
    /// with a file that is open for writing cannot be made read-only.
    /// </summary>
    public static void MakeFile(string path) => Check(MakeNode(path, RegularFile | OwnerOnly, 0), $"make the file {path}");

    public static void ChangeOwner(string path, uint owner) => Check(ChangeOwnerCall(path, owner, owner), $"give {path} to user {owner}");

    /// <summary>A named pipe.</summary>
    public static void MakePipe(string path) => Check(MakePipeCall(path, OwnerOnly), $"make the pipe {path}");

    private static SafeFileHandle Handle(long result, string doing)
    {
        Check((int)result, doing);
        return new SafeFileHandle((nint)result, ownsHandle: true);
    }

    private static void Check(int result, string doing)
    {
        if (result < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"Cannot {doing}: {new Win32Exception(error).Message} (error {error.ToString(CultureInfo.InvariantCulture)}).");
        }
    }

    // Each returns 0 or a descriptor, and -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int what);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MountCall(string source, string target, string? type, ulong flags, string? options);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnmountCall(string target, int flags);

    [LibraryImport("libc", EntryPoint = "mknod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeNode(string path, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipeCall(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwnerCall(string path, uint owner, uint group);

    /// <summary>open_tree(2).</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long Call(long number, int folder, string path, uint flags);

    /// <summary>mount_setattr(2).</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long SetAttributes(long number, int folder, string path, uint flags, ulong* attributes, nuint size);

    /// <summary>move_mount(2).</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial long Move(long number, int fromFolder, string from, int toFolder, string to, uint flags);
}

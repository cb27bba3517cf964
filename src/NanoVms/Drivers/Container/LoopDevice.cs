using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Container;

/// <summary>A file as a block device (loop(4)). Disposing closes it here; who has it mounted or open keeps it.</summary>
internal sealed unsafe partial class LoopDevice : IDisposable
{
    private const nuint Configure = 0x4C0A;
    private const nuint GetStatus = 0x4C05;
    private const nuint Clear = 0x4C01;
    private const nuint GetFree = 0x4C82;
    private const uint FlagReadOnly = 1;
    private const uint FlagAutoClear = 4;
    private const int Busy = 16;
    private const int MaxTries = 64;
    private const int LabelSize = 64;

    // struct loop_info64, and its place and size in struct loop_config.
    private const int InfoSize = 232;
    private const int InfoOffset = 8;
    private const int ConfigSize = InfoOffset + InfoSize + 64;
    private const int FlagsOffset = 52;
    private const int LabelOffset = 56;
    public const int Major = 7;
    private static readonly Lock Sharing = new();
    private readonly SafeFileHandle _file;

    private LoopDevice(int number, SafeFileHandle file) => (Number, _file) = (number, file);

    public int Number { get; }

    public string Path => PathOf(Number);

    /// <summary>As mknod(2) takes it.</summary>
    public ulong Device => ((ulong)Major << 8) | ((ulong)Number & 0xff) | (((ulong)Number & ~0xffUL) << 12);

    /// <summary>
    /// The device of a read-only file, one for all who ask, so that its pages are in memory once. The kernel takes it away when nobody has
    /// it open or mounted any more, whoever died meanwhile.
    /// </summary>
    /// <exception cref="IOException">No loop device is to be had.</exception>
    public static LoopDevice Share(SafeFileHandle file, string label)
    {
        lock (Sharing)
            return FindShared(file, label) ?? Make(file, label, FlagReadOnly | FlagAutoClear);
    }

    /// <summary>A device that the kernel takes away when nobody has it open or mounted any more.</summary>
    public static LoopDevice Attach(SafeFileHandle file, string label) => Make(file, label, FlagAutoClear);

    /// <summary>A device that stays until <see cref="Remove"/>.</summary>
    public static LoopDevice Keep(SafeFileHandle file, string label, bool readOnly) => Make(file, label, readOnly ? FlagReadOnly : 0);

    /// <summary>Takes away the devices of a label; one that is still open goes when it is closed.</summary>
    public static void Remove(string label)
    {
        foreach (var number in Numbers())
        {
            using var file = TryOpen(number, FileAccess.Read);
            if (file is not null && TryGetStatus(file, out var info) && LabelOf(info) == label)
                _ = Control(file, Clear, 0);
        }
    }

    /// <summary>Labels of all devices in use.</summary>
    public static IReadOnlyList<string> Labels()
    {
        var labels = new List<string>();
        foreach (var number in Numbers())
        {
            using var file = TryOpen(number, FileAccess.Read);
            if (file is not null && TryGetStatus(file, out var info))
                labels.Add(LabelOf(info));
        }

        return labels;
    }

    public void Dispose() => _file.Dispose();

    private static string PathOf(int number) => string.Create(CultureInfo.InvariantCulture, $"/dev/loop{number}");

    private static IEnumerable<int> Numbers() => Directory.EnumerateDirectories("/sys/block", "loop*")
        .Where(path => Directory.Exists(path + "/loop"))
        .Select(path => int.TryParse(System.IO.Path.GetFileName(path).AsSpan(4), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1)
        .Where(number => number >= 0);

    private static LoopDevice? FindShared(SafeFileHandle backing, string label)
    {
        var (device, inode) = IdentityOf(backing);
        foreach (var number in Numbers())
        {
            var file = TryOpen(number, FileAccess.Read);
            if (file is null)
                continue;
            // Asked once it is open: from then on the kernel does not take it away.
            if (TryGetStatus(file, out var info) && LabelOf(info) == label
                && MemoryMarshal.Read<ulong>(info) == device && MemoryMarshal.Read<ulong>(info.AsSpan(8)) == inode
                && (MemoryMarshal.Read<uint>(info.AsSpan(FlagsOffset)) & FlagReadOnly) != 0)
                return new LoopDevice(number, file);
            file.Dispose();
        }

        return null;
    }

    private static LoopDevice Make(SafeFileHandle backing, string label, uint flags)
    {
        var error = 0;
        using var control = File.OpenHandle("/dev/loop-control", FileMode.Open, FileAccess.ReadWrite);
        for (var tries = 0; tries < MaxTries; tries++)
        {
            var number = Control(control, GetFree, 0);
            if (number < 0)
                throw Failure("find a free loop device", Marshal.GetLastPInvokeError());
            var file = TryOpen(number, (flags & FlagReadOnly) != 0 ? FileAccess.Read : FileAccess.ReadWrite);
            if (file is null)
                continue;
            error = TryConfigure(file, backing, label, flags);
            if (error == 0)
                return new LoopDevice(number, file);
            file.Dispose();
            // Somebody else was faster.
            if (error != Busy)
                break;
        }

        throw Failure("make a loop device", error);
    }

    private static int TryConfigure(SafeFileHandle file, SafeFileHandle backing, string label, uint flags)
    {
        var config = stackalloc byte[ConfigSize];
        new Span<byte>(config, ConfigSize).Clear();
        *(uint*)config = (uint)backing.DangerousGetHandle();
        *(uint*)(config + InfoOffset + FlagsOffset) = flags;
        var bytes = Encoding.ASCII.GetBytes(label);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(bytes.Length, LabelSize, nameof(label));
        bytes.CopyTo(new Span<byte>(config + InfoOffset + LabelOffset, LabelSize));
        // SAFETY: the block is a whole struct loop_config.
        var result = Control(file, Configure, (nint)config);
        GC.KeepAlive(backing);
        return result == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    private static bool TryGetStatus(SafeFileHandle file, out byte[] info)
    {
        info = new byte[InfoSize];
        // SAFETY: the array is a whole struct loop_info64.
        fixed (byte* start = info)
            return Control(file, GetStatus, (nint)start) == 0;
    }

    private static string LabelOf(byte[] info) => Encoding.ASCII.GetString(info, LabelOffset, LabelSize).TrimEnd('\0');

    private static SafeFileHandle? TryOpen(int number, FileAccess access)
    {
        try
        {
            return File.OpenHandle(PathOf(number), FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static (ulong Device, ulong Inode) IdentityOf(SafeFileHandle file)
    {
        var status = stackalloc ulong[64];
        // SAFETY: struct stat is less than 256 bytes on every architecture and starts with these two words.
        if (Status(file, status) != 0)
            throw Failure("ask for a layer's number", Marshal.GetLastPInvokeError());
        return (status[0], status[1]);
    }

    private static IOException Failure(string doing, int error) =>
        new($"Cannot {doing}: {new Win32Exception(error).Message}. It takes root and the kernel module 'loop'.");

    // Each returns -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, nint argument);

    [LibraryImport("libc", EntryPoint = "fstat", SetLastError = true)]
    private static partial int Status(SafeFileHandle file, ulong* status);
}

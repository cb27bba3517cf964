using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The kernel's modules in the initramfs. <c>/modules/order</c> has a line "group file" for each, in the order of loading.</summary>
internal static unsafe class Modules
{
    private static readonly HashSet<string> Loaded = [];

    public static void Load(string group)
    {
        foreach (var line in Files.TryReadText("/modules/order").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var (itsGroup, file) = (line[..line.IndexOf(' ')], line[(line.IndexOf(' ') + 1)..]);
            if (itsGroup == group && Loaded.Add(file))
                LoadFile($"/modules/{file}");
        }
    }

    private static void LoadFile(string path)
    {
        var fd = Files.TryOpen(path, Libc.O_RDONLY);
        if (fd < 0)
            throw AgentFailure.Of($"cannot open the kernel module {path}");
        nint result;
        // SAFETY: no parameters is an empty string.
        fixed (byte* none = "\0"u8)
            result = Libc.SystemCall(Libc.SYS_FINIT_MODULE, fd, (nint)none, 0);
        var failure = result == 0 || Errno.Last == Errno.EEXIST ? null : AgentFailure.Of($"cannot load the kernel module {path}");
        _ = Libc.Close(fd);
        // Once in the kernel its file is only memory that is taken.
        Files.TryUnlink(path);
        if (failure is not null)
            throw failure;
    }
}

using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>File systems that the kernel provides, where programs look for them.</summary>
internal static class Mounts
{
    public const nuint ReadOnly = 1;
    public const nuint NoSuid = 2;
    public const nuint NoDevices = 4;
    public const nuint NoExec = 8;
    public const nuint Remount = 32;
    public const nuint NoAccessTimes = 1024;
    public const nuint Move = 8192;

    private const nuint BindMount = 4096;
    private const int Detach = 2;
    private const uint AnyoneButOwnFiles = 0x3FF;

    /// <summary>For all programs, by this one mount: what it is made of stays as it is.</summary>
    public static void SetRootReadOnly(bool on) =>
        Files.Mount("", "/", "", Remount | BindMount | NoAccessTimes | (on ? ReadOnly : 0));

    public static void PutTemporaryFilesInMemory() => Files.Mount("tmpfs", "/tmp", "tmpfs", NoSuid | NoDevices, "mode=1777");

    /// <summary>Lays one file over another, in place of what was laid there before.</summary>
    public static unsafe void Bind(string source, string target)
    {
        // SAFETY: the array is pinned for the call and ends in a zero. An error says that nothing was there.
        fixed (byte* name = Files.Path(target))
            _ = Libc.Unmount(name, Detach);
        Files.Mount(source, target, "", BindMount);
    }

    public static void PrepareUserSpace()
    {
        Files.MakeDirectory("/dev/pts");
        Files.Mount("devpts", "/dev/pts", "devpts", NoSuid | NoExec, "mode=0620,gid=5,ptmxmode=0666");
        Files.Link("pts/ptmx", "/dev/ptmx");
        Files.MakeDirectory("/dev/shm");
        Files.Mount("tmpfs", "/dev/shm", "tmpfs", NoSuid | NoDevices, "mode=1777");
        Files.Link("/proc/self/fd", "/dev/fd");
        Files.Link("/proc/self/fd/0", "/dev/stdin");
        Files.Link("/proc/self/fd/1", "/dev/stdout");
        Files.Link("/proc/self/fd/2", "/dev/stderr");
        Files.MakeDirectory("/run");
        Files.Mount("tmpfs", "/run", "tmpfs", NoSuid | NoDevices, "mode=0755");
        Files.MakeDirectory("/run/lock", AnyoneButOwnFiles);
        PrepareTemporary();
        Files.TryMount("cgroup2", "/sys/fs/cgroup", "cgroup2", NoSuid | NoDevices | NoExec, "nsdelegate");
    }

    /// <summary>On the writable layer, not in memory: a build's temporary files may be larger than a small guest's memory.</summary>
    public static void PrepareTemporary()
    {
        Files.MakeDirectory("/tmp");
        Files.ChangeMode("/tmp", AnyoneButOwnFiles);
    }
}

using System.Diagnostics;
using System.Runtime.InteropServices;

namespace NanoVms.Images;

/// <summary>The processor's time stamp counter, whose rate a guest cannot measure without a reference clock.</summary>
public static unsafe partial class TimeStampCounter
{
    private const int PageSize = 4096;
    private const int Read = 1;
    private const int Write = 2;
    private const int Execute = 4;
    private const int PrivateAnonymous = 0x22;

    private static readonly Lazy<long> Kilohertz = new(Measure);

    /// <summary>Its rate on this host in kHz, measured once in a process (about 50 ms).</summary>
    /// <exception cref="PlatformNotSupportedException">The processor is not x86-64.</exception>
    public static long GetKilohertz() => Kilohertz.Value;

    private static long Measure()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw new PlatformNotSupportedException("Machines boot on x86-64 processors only.");

        // rdtsc; shl rdx, 32; or rax, rdx; ret. The framework has no intrinsic for it.
        ReadOnlySpan<byte> code = [0x0F, 0x31, 0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0, 0xC3];
        // SAFETY: a page of our own, written before it is made executable and unmapped after its last call.
        var page = Map(null, PageSize, Read | Write, PrivateAnonymous, -1, 0);
        if ((nint)page == -1)
            throw new InvalidOperationException($"No memory for measuring the time stamp counter: error {Marshal.GetLastPInvokeError()}.");
        try
        {
            code.CopyTo(new Span<byte>(page, PageSize));
            if (Protect(page, PageSize, Read | Execute) != 0)
                throw new InvalidOperationException($"This system forbids executable memory, so the time stamp counter cannot be measured: error {Marshal.GetLastPInvokeError()}.");
            var read = (delegate* unmanaged<ulong>)page;
            var (firstCount, firstTime) = Sample(read);
            Thread.Sleep(50);
            var (lastCount, lastTime) = Sample(read);
            return (long)Math.Round((lastCount - firstCount) / Stopwatch.GetElapsedTime(firstTime, lastTime).TotalMilliseconds);
        }
        finally
        {
            _ = Unmap(page, PageSize);
        }
    }

    /// <summary>Both clocks as close together as they come in a few tries: in between this thread may lose its processor.</summary>
    private static (ulong Count, long Time) Sample(delegate* unmanaged<ulong> read)
    {
        var best = (Count: 0UL, Time: 0L, Gap: ulong.MaxValue);
        for (var tries = 0; tries < 20; tries++)
        {
            var before = read();
            var now = Stopwatch.GetTimestamp();
            var gap = read() - before;
            if (gap < best.Gap)
                best = (before + (gap / 2), now, gap);
        }

        return (best.Count, best.Time);
    }

    // mmap returns -1, the others -1, with errno on failure.
    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Map(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(void* address, nuint length);
}

namespace NanoVms.Images;

/// <summary>The kernel that machines boot: Debian's cloud kernel, unpacked, with the few modules a guest needs.</summary>
/// <param name="VmlinuxPath">An uncompressed ELF <c>vmlinux</c> with a PVH entry.</param>
/// <param name="Release">As <c>uname -r</c> prints it.</param>
/// <param name="ModulesDirectory">Holds the modules and <c>order</c>, their load order.</param>
public sealed record GuestKernel(string VmlinuxPath, string Release, string ModulesDirectory)
{
    /// <summary>Fetches and unpacks the kernel into the folder unless it is there. Safe to call from several processes at once.</summary>
    public static Task<GuestKernel> PrepareAsync(string folder, IProgress<string>? progress, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>The kernel command line that boots fastest.</summary>
    /// <param name="tscKilohertz">The host's time stamp counter, <see cref="TimeStampCounter.GetKilohertz"/>.</param>
    /// <param name="hardware">True under KVM, false under TCG.</param>
    /// <param name="console">True to have the kernel's messages on the first serial port.</param>
    public static string CommandLine(long tscKilohertz, bool hardware, bool console = false) => throw new NotSupportedException();
}

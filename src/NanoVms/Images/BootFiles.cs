namespace NanoVms.Images;

/// <summary>What every machine boots.</summary>
/// <param name="KernelPath">An uncompressed ELF <c>vmlinux</c> with a PVH entry.</param>
/// <param name="InitramfsPath">A cpio archive whose <c>/init</c> is the agent.</param>
public sealed record BootFiles(string KernelPath, string InitramfsPath)
{
    /// <summary>True for the <see cref="GuestKernel.IsSmall">small kernel</see>.</summary>
    public bool IsSmall { get; init; }
}

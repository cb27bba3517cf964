using System.Security.Cryptography;
using NanoVms.Commands;
using NanoVms.Images.Kernel;
using NanoVms.Images.Oci;

namespace NanoVms.Images;

/// <summary>
/// What machines boot from: kernel, initramfs, stacks and layers, made once and kept in a folder that any number of
/// processes share.
/// </summary>
public sealed class ImageStore
{
    public const string DefaultFolder = "/var/cache/byteport";

    private readonly StackStore _stacks;
    private readonly OciStore _registryImages;
    private volatile LastBoot? _boot;

    /// <param name="folder">Absolute path; made when missing.</param>
    public ImageStore(string folder = DefaultFolder, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Folder = Path.GetFullPath(folder);
        _registryImages = new OciStore(Folder);
        _stacks = new StackStore(Folder, time ?? TimeProvider.System);
    }

    public string Folder { get; }

    private string KernelFolder => Path.Combine(Folder, "kernel");

    /// <summary>What machines boot now.</summary>
    public Task<GuestKernel> GetKernelAsync(IProgress<string>? progress, CancellationToken cancellationToken) =>
        GuestKernel.PrepareAsync(Folder, progress, cancellationToken);

    /// <summary>Debian's kernel, fetched when it is not there yet.</summary>
    public Task<GuestKernel> GetDistributionKernelAsync(IProgress<string>? progress, CancellationToken cancellationToken) =>
        GuestKernel.PrepareDistributionAsync(Folder, progress, cancellationToken);

    /// <summary>Builds the small guest kernel from the newest source of its recipe, some minutes; machines that start then boot it.</summary>
    /// <exception cref="ImageException">It could not be built; what machines boot stays as it is.</exception>
    public Task<GuestKernel> BuildKernelAsync(IProgress<string>? progress, CancellationToken cancellationToken) =>
        SmallKernel.BuildAsync(KernelFolder, progress, cancellationToken);

    /// <summary>The small guest kernel, or null where it was not built by the recipe of now.</summary>
    public GuestKernel? FindSmallKernel() => SmallKernel.Find(KernelFolder);

    /// <summary>Removes the small guest kernel; machines that start then boot Debian's. False when there was none.</summary>
    public bool RemoveSmallKernel() => SmallKernel.Remove(KernelFolder);

    /// <summary>The initramfs of an agent and the kernel that machines boot now; its path.</summary>
    public async Task<string> GetInitramfsAsync(string agentPath, IProgress<string>? progress, CancellationToken cancellationToken) =>
        (await GetBootAsync(agentPath, progress, cancellationToken)).InitramfsPath;

    /// <summary>What machines boot now: the kernel and, of it and the agent, the initramfs. Quick where neither has changed.</summary>
    public async Task<BootFiles> GetBootAsync(string agentPath, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var kernel = await GetKernelAsync(progress, cancellationToken);
        var of = (kernel.VmlinuxPath, agentPath, File.GetLastWriteTimeUtc(agentPath));
        if (_boot is { } last && last.Of == of && File.Exists(last.Files.InitramfsPath))
            return last.Files;
        var initramfs = await GuestInitramfs.PrepareAsync(Folder, kernel, agentPath, progress, cancellationToken);
        _boot = new LastBoot(of, new BootFiles(kernel.VmlinuxPath, initramfs) { IsSmall = kernel.IsSmall });
        return _boot.Files;
    }

    /// <summary>A runtime image, made when it is not there yet (half a minute for the first).</summary>
    /// <param name="reference">
    /// <c>name@version</c>, for example <c>node@22</c>, <c>node@20.11.0</c>, <c>node@lts</c>, <c>node@>=18 &lt;23</c>, <c>python@3</c>, <c>base</c>.
    /// </param>
    /// <exception cref="ImageException">No such stack or version, or it could not be made.</exception>
    public Task<StackImage> GetStackAsync(string reference, IProgress<string>? progress, CancellationToken cancellationToken) =>
        _stacks.GetAsync(reference, progress, cancellationToken);

    /// <summary>An image of a registry, fetched when it is not there yet or its tag has moved.</summary>
    /// <param name="reference">For example <c>alpine:3.20</c>, <c>ghcr.io/owner/app@sha256:…</c>.</param>
    /// <exception cref="ImageException">There is none, it is too large or damaged, or the registry cannot be reached.</exception>
    public Task<OciImage> PullAsync(string reference, OciPullOptions? options, IProgress<string>? progress, CancellationToken cancellationToken) =>
        _registryImages.PullAsync(reference, options ?? new OciPullOptions(), progress, cancellationToken);

    /// <summary>The images of registries that are here.</summary>
    public IReadOnlyList<OciImage> ListPulled() => [.. _registryImages.Images];

    /// <summary>Packs a folder into an EROFS image of this store; equal content gives the same file.</summary>
    /// <exception cref="CommandException">mkfs.erofs failed.</exception>
    public async Task<Layer> PackLayerAsync(string directory, LayerOptions options, CancellationToken cancellationToken)
    {
        var layers = Directory.CreateDirectory(Path.Combine(Folder, "layers")).FullName;
        var aside = Path.Combine(layers, $"aside-{Guid.NewGuid():N}");
        await LayerPacker.PackAsync(directory, aside, options, cancellationToken);
        try
        {
            string digest;
            await using (var file = new FileStream(aside, FileMode.Open, FileAccess.Read, FileShare.Read, 0, useAsync: true))
            {
                digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
                RandomAccess.FlushToDisk(file.SafeFileHandle);
            }

            var path = Path.Combine(layers, digest + ".erofs");
            File.Move(aside, path, overwrite: true);
            return new Layer(digest, path, new FileInfo(path).Length);
        }
        finally
        {
            File.Delete(aside);
        }
    }

    /// <summary>Kernel, agent and the agent's time of change, and what was made of them.</summary>
    private sealed record LastBoot((string Kernel, string Agent, DateTime Changed) Of, BootFiles Files);
}

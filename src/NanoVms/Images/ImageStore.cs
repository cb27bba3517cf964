namespace NanoVms.Images;

/// <summary>
/// What machines boot from: kernel, initramfs, stacks and layers, made once and kept in a folder that any number of
/// processes share.
/// </summary>
public sealed class ImageStore(string folder = ImageStore.DefaultFolder)
{
    public const string DefaultFolder = "/var/cache/byteport";

    public string Folder { get; } = folder;

    public Task<GuestKernel> GetKernelAsync(IProgress<string>? progress, CancellationToken cancellationToken) =>
        GuestKernel.PrepareAsync(Folder, progress, cancellationToken);

    /// <summary>The initramfs of an agent and this store's kernel; its path.</summary>
    public async Task<string> GetInitramfsAsync(string agentPath, IProgress<string>? progress, CancellationToken cancellationToken) =>
        await GuestInitramfs.PrepareAsync(Folder, await GetKernelAsync(progress, cancellationToken), agentPath, progress, cancellationToken);

    /// <summary>A runtime image, made when it is not there yet (up to a minute for the first).</summary>
    /// <param name="reference">
    /// <c>name@version</c>, for example <c>node@22</c>, <c>node@20.11.0</c>, <c>node@lts</c>, <c>node@>=18 &lt;23</c>, <c>python@3</c>, <c>base</c>.
    /// </param>
    /// <exception cref="ImageException">No such stack or version, or it could not be made.</exception>
    public Task<StackImage> GetStackAsync(string reference, IProgress<string>? progress, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Packs a folder into an EROFS image of this store; equal content gives the same file.</summary>
    public Task<Layer> PackLayerAsync(string directory, LayerOptions options, CancellationToken cancellationToken) =>
        throw new NotSupportedException();
}

using System.Security.Cryptography;
using NanoVms.Commands;
using NanoVms.Images.Collection;
using NanoVms.Images.Kernel;
using NanoVms.Images.Oci;
using NanoVms.Images.Stacks;

namespace NanoVms.Images;

/// <summary>
/// What machines boot from: kernel, initramfs, stacks and layers, made once and kept in a folder that any number of
/// processes share.
/// </summary>
public sealed class ImageStore
{
    public const string DefaultFolder = "/var/cache/byteport";

    private readonly StackRecipes _recipes;
    private readonly StackStore _stacks;
    private readonly OciStore _registryImages;
    private readonly ImageCollector _collector;
    private readonly StoreGate _gate;
    private readonly TimeProvider _time;
    private volatile LastBoot? _boot;

    /// <param name="folder">Absolute path; made when missing.</param>
    /// <param name="recipesFolder">The operator's own recipes, <c>NAME.yaml</c>; null for the built-in ones alone.</param>
    public ImageStore(string folder = DefaultFolder, TimeProvider? time = null, string? recipesFolder = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Folder = Path.GetFullPath(folder);
        _time = time ?? TimeProvider.System;
        _gate = new StoreGate(Folder);
        _recipes = new StackRecipes(recipesFolder);
        _registryImages = new OciStore(Folder, _time);
        _stacks = new StackStore(Folder, _recipes, _time);
        _collector = new ImageCollector(Folder, _stacks, _registryImages, _recipes, _time);
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
        File.SetLastWriteTimeUtc(initramfs, _time.GetUtcNow().UtcDateTime);
        _boot = new LastBoot(of, new BootFiles(kernel.VmlinuxPath, initramfs) { IsSmall = kernel.IsSmall });
        return _boot.Files;
    }
    /// <summary>Keeps what is asked for with it from being removed until it is disposed: hold it until the machine that stands on it was started.</summary>
    public ImageLease BeginUse() => new(Folder, _gate, _time);

    /// <summary>A runtime image, made when it is not there yet (half a minute for the first).</summary>
    /// <param name="reference">
    /// <c>name@version</c>, for example <c>node@22</c>, <c>node@20.11.0</c>, <c>node@lts</c>, <c>node@>=18 &lt;23</c>, <c>python@3</c>,
    /// <c>base</c>; or <see cref="StackImage.Reference"/>, which gives the very image, or where that is gone one of today's recipe.
    /// </param>
    /// <param name="use">Null for a use that ends with the call.</param>
    /// <exception cref="ImageException">No such stack or version, or it could not be made.</exception>
    public async Task<StackImage> GetStackAsync(string reference, IProgress<string>? progress, CancellationToken cancellationToken, ImageLease? use = null)
    {
        using var own = use is null ? BeginUse() : null;
        return await _stacks.GetAsync(reference, progress, use ?? own!, cancellationToken);
    }

    /// <summary>Makes a stack of a recipe, and only then keeps the recipe among the operator's own, in place of one of the same name.</summary>
    /// <param name="name">1 to 39 of <c>a-z 0-9 -</c>, beginning with a letter.</param>
    /// <param name="origin">What errors call the file.</param>
    /// <exception cref="ImageException">The recipe is wrong (all errors are named), or it could not be made.</exception>
    public async Task<StackImage> BuildAsync(string name, string origin, string recipe, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        using var use = BeginUse();
        var read = RecipeReader.Read(name, origin, recipe);
        var image = await _stacks.MakeAsync(read, progress, use, cancellationToken);
        _recipes.Keep(read);
        return image;
    }

    /// <summary>The stacks that there are recipes for.</summary>
    public IReadOnlyList<string> StackNames => _recipes.Names;

    /// <summary>What is wrong with the operator's own recipes: a text for each of them, with file and line.</summary>
    public IReadOnlyList<string> FindRecipeProblems() => _recipes.FindProblems();

    /// <summary>An image of a registry, fetched when it is not there yet or its tag has moved.</summary>
    /// <param name="reference">For example <c>alpine:3.20</c>, <c>ghcr.io/owner/app@sha256:…</c>.</param>
    /// <param name="use">Null for a use that ends with the call.</param>
    /// <exception cref="ImageException">There is none, it is too large or damaged, or the registry cannot be reached.</exception>
    public async Task<OciImage> PullAsync(
        string reference, OciPullOptions? options, IProgress<string>? progress, CancellationToken cancellationToken, ImageLease? use = null)
    {
        using var own = use is null ? BeginUse() : null;
        return await _registryImages.PullAsync(reference, options ?? new OciPullOptions(), progress, use ?? own!, cancellationToken);
    }

    /// <summary>The images of registries that are here.</summary>
    public IReadOnlyList<OciImage> ListPulled() => [.. _registryImages.Images];

    /// <summary>Everything that is here, with who needs it.</summary>
    /// <exception cref="ImageException">It cannot be read what a user needs.</exception>
    public Task<IReadOnlyList<StoredImage>> ListAsync(CancellationToken cancellationToken) => _collector.ListAsync(cancellationToken);

    /// <summary>Says who uses this store besides the running process, and what they need of it, in place of what they said before. Lasting.</summary>
    public Task RegisterAsync(ImageUser user, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(user);
        return new ImageUsers(Folder, _gate, _time).RegisterAsync(user, cancellationToken);
    }

    /// <summary>Forgets a user that is gone.</summary>
    public void Forget(string userId) => new ImageUsers(Folder, _gate, _time).Forget(userId);

    /// <summary>Keeps a stack or an image of a registry, whoever needs it, until <see cref="UnpinAsync"/>. Lasting; returns what was pinned.</summary>
    /// <exception cref="ImageException">There is none.</exception>
    public Task<IReadOnlyList<string>> PinAsync(string reference, CancellationToken cancellationToken) => _collector.PinAsync(reference, cancellationToken);

    /// <exception cref="ImageException">It is not pinned.</exception>
    public Task UnpinAsync(string reference, CancellationToken cancellationToken) => _collector.UnpinAsync(reference, cancellationToken);

    /// <summary>Removes a stack or an image of a registry, unless something needs it.</summary>
    /// <param name="reference">As <see cref="StoredImage.Reference"/>, a digest, or a stack's name for all its versions.</param>
    /// <exception cref="ImageException">There is none, or something needs it; the message says what.</exception>
    public Task<CollectionResult> RemoveAsync(string reference, CancellationToken cancellationToken) => _collector.RemoveAsync(reference, cancellationToken);

    /// <summary>
    /// Removes what nobody needs, has pinned, or has used for a while, and what processes that died left half made. Safe beside everything
    /// that other processes do with the store, and against dying at any moment.
    /// </summary>
    /// <exception cref="ImageException">It cannot be read what a user needs; nothing was removed.</exception>
    public Task<CollectionResult> CollectAsync(CollectionOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        return _collector.CollectAsync(options, cancellationToken);
    }

    /// <summary>Clears away what processes that died left half made, credentials of a pull among it. At the start of a program.</summary>
    public Task RepairAsync(CancellationToken cancellationToken) => new Unfinished(Folder, _time).ClearAsync(dryRun: false, cancellationToken);

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

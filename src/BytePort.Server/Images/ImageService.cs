using BytePort.Builds.Services;
using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Hosting;
using BytePort.Server.Machines;
using Microsoft.EntityFrameworkCore;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Images.Oci;

namespace BytePort.Server.Images;

/// <summary>
/// The images of this computer, which all platforms on it share: fetched, made, listed, pinned and removed. What this platform needs
/// of them is told to their store before anything is removed and after each build, so that another platform's collection spares it.
/// </summary>
internal sealed class ImageService(
    ImageStore images, ArtifactCollection artifacts, IDbContextFactory<PlatformDb> databases, ServerOptions options, Node node, ILogger<ImageService> logger)
    : IDisposable
{
    /// <summary>What the small guest kernel is called where it is made and removed.</summary>
    private const string SmallKernel = "kernel";

    private readonly SemaphoreSlim _telling = new(1);

    /// <summary>All images, and for a team those that it may use.</summary>
    public async Task<ImageList> ListAsync(Caller caller, bool isAdministrator, CancellationToken cancellationToken)
    {
        await TellNeedsAsync(cancellationToken);
        var team = MachineService.OwnerOf(caller.TeamId);
        var found = await images.ListAsync(cancellationToken);
        return new ImageList(
            [.. found.Where(image => isAdministrator || image.Owners is null || image.Owners.Contains(team)).Select(image => ImageView.Of(image, isAdministrator))],
            isAdministrator ? images.FindRecipeProblems() : []);
    }

    /// <exception cref="ImageException">It cannot be fetched.</exception>
    public async Task<ImageView> PullAsync(
        PullImage request, Caller caller, bool isAdministrator, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(request.Reference))
            throw new ImageException("'reference' is missing: which image, such as alpine:3.20.") { Fault = ImageFault.Invalid };
        if (request.Username is null != request.Password is null)
            throw new ImageException("'username' and 'password' go together: give both or none.") { Fault = ImageFault.Invalid };
        if (request.Username is { } name && (name.Contains(':', StringComparison.Ordinal) || name.Length is 0 or > 500 || request.Password!.Length is 0 or > 10_000))
            throw new ImageException("The user name is empty, too long or has a colon, or the password is empty or too long.") { Fault = ImageFault.Invalid };
        using var use = images.BeginUse();
        var image = await images.PullAsync(
            request.Reference,
            new OciPullOptions
            {
                Credentials = request.Username is { } user ? new OciCredentials(user, request.Password!) : null,
                Owner = MachineService.OwnerOf(caller.TeamId),
                // A team's member must not make the server speak to the computer's own network.
                AllowPrivateAddresses = isAdministrator,
            },
            progress,
            cancellationToken,
            use);
        if (request.Pin is true)
            _ = await images.PinAsync(image.Reference, cancellationToken);
        Log.Changed(logger, image.Reference, "fetched", caller.UserId);
        return await ViewAsync(found => found.Kind == ImageKind.Oci && found.Reference == image.Reference, isAdministrator, cancellationToken);
    }

    /// <exception cref="ImageException">The recipe is wrong or missing, or the stack cannot be made.</exception>
    public async Task<ImageView> BuildAsync(BuildImage request, Caller caller, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(request.Reference))
            throw new ImageException("'reference' is missing: which stack, such as node@22, or 'kernel'.") { Fault = ImageFault.Invalid };
        if (request.Reference == SmallKernel)
            return await BuildKernelAsync(request, caller, progress, cancellationToken);
        var stack = request.Recipe is { } recipe
            ? await images.BuildAsync(request.Reference, $"{request.Reference}.yaml", recipe, progress, cancellationToken)
            : await images.GetStackAsync(request.Reference, progress, cancellationToken);
        Log.Changed(logger, stack.Reference, "made", caller.UserId);
        return await ViewAsync(found => found.Kind == ImageKind.Stack && $"{found.Reference}+{found.Digest}" == stack.Reference, isAdministrator: true, cancellationToken);
    }

    /// <exception cref="ImageException">There is none, or something needs it.</exception>
    public async Task<CollectionView> RemoveAsync(string reference, Caller caller, CancellationToken cancellationToken)
    {
        if (reference == SmallKernel)
            return RemoveKernel(caller);
        await TellNeedsAsync(cancellationToken);
        var result = await images.RemoveAsync(reference, cancellationToken);
        Log.Changed(logger, reference, "removed", caller.UserId);
        return View(result, dryRun: false);
    }

    /// <exception cref="ImageException">There is none.</exception>
    public async Task<PinnedView> PinAsync(string reference, Caller caller, CancellationToken cancellationToken)
    {
        var pinned = await images.PinAsync(reference, cancellationToken);
        Log.Changed(logger, reference, "pinned", caller.UserId);
        return new PinnedView(pinned);
    }

    /// <exception cref="ImageException">It is not pinned.</exception>
    public async Task UnpinAsync(string reference, Caller caller, CancellationToken cancellationToken)
    {
        await images.UnpinAsync(reference, cancellationToken);
        Log.Changed(logger, reference, "unpinned", caller.UserId);
    }

    /// <summary>Removes images and artifacts that nothing needs and nothing has used for a while.</summary>
    /// <exception cref="ImageException">It cannot be read what is needed.</exception>
    public async Task<CollectionView> CollectAsync(TimeSpan olderThan, bool dryRun, CancellationToken cancellationToken)
    {
        await TellNeedsAsync(cancellationToken);
        var result = await images.CollectAsync(new CollectionOptions { OlderThan = olderThan, DryRun = dryRun }, cancellationToken);
        var blobs = await artifacts.CollectAsync(olderThan, dryRun, cancellationToken);
        var view = View(new CollectionResult([.. result.Items, .. blobs is null ? [] : new[] { blobs }], result.Bytes + (blobs?.Bytes ?? 0)), dryRun);
        if (!dryRun && view.Items.Count > 0)
            Log.Collected(logger, view.Items.Count, view.Bytes >> 20);
        return view;
    }

    /// <summary>Tells the store, lastingly, what this platform's deployments need.</summary>
    public async Task TellNeedsAsync(CancellationToken cancellationToken)
    {
        // One after the other: an older answer must not be written over a newer one.
        await _telling.WaitAsync(cancellationToken);
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellationToken);
            var deployments = await db.Deployments.AsNoTracking()
                .Where(d => d.Plan != null && d.Status != DeploymentStatus.Failed && d.Status != DeploymentStatus.Canceled)
                .Join(db.Projects, d => d.ProjectId, p => p.Id, (d, p) => new { Project = p.Name, d.Number, d.Plan })
                .OrderBy(d => d.Project).ThenBy(d => d.Number).ToListAsync(cancellationToken);
            var needs = deployments.SelectMany(d => DeploymentPlan.Parse(d.Plan!).Services
                .Select(service => service.Artifact).OfType<AppArtifact>().Select(app => app.Stack).Distinct()
                .Select(stack => new ImageNeed($"deployment {d.Number} of {d.Project}", stack, [])));
            await images.RegisterAsync(
                new ImageUser
                {
                    Id = $"platform-{node.Id}",
                    Folder = options.DataFolder,
                    SnapshotFolders = [options.InData("snapshots")],
                    Needs = [.. needs],
                },
                cancellationToken);
        }
        finally
        {
            _ = _telling.Release();
        }
    }

    public void Dispose() => _telling.Dispose();

    private async Task<ImageView> BuildKernelAsync(BuildImage request, Caller caller, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        if (request.Recipe is not null)
            throw new ImageException("'kernel' is the small guest kernel, whose recipe is BytePort's own. Call your stack something else.") { Fault = ImageFault.Invalid };
        var kernel = await images.BuildKernelAsync(progress, cancellationToken);
        Log.Changed(logger, kernel.Release, "built", caller.UserId);
        var name = Path.GetFileName(Path.GetDirectoryName(kernel.VmlinuxPath));
        return await ViewAsync(found => found.Kind == ImageKind.Kernel && found.Reference == name, isAdministrator: true, cancellationToken);
    }

    /// <summary>Machines that run go on; those that start then boot Debian's kernel.</summary>
    private CollectionView RemoveKernel(Caller caller)
    {
        var kernel = images.FindSmallKernel();
        var bytes = kernel is null ? 0 : new FileInfo(kernel.VmlinuxPath).Length;
        if (!images.RemoveSmallKernel())
            throw new ImageException("The small guest kernel was not built here; machines boot Debian's.") { Fault = ImageFault.NotFound };
        Log.Changed(logger, SmallKernel, "removed", caller.UserId);
        return new CollectionView([new CollectedView("kernel", kernel?.Release ?? SmallKernel, bytes)], bytes, DryRun: false);
    }

    private async Task<ImageView> ViewAsync(Func<StoredImage, bool> isIt, bool isAdministrator, CancellationToken cancellationToken) =>
        (await images.ListAsync(cancellationToken)).FirstOrDefault(isIt) is { } found
            ? ImageView.Of(found, isAdministrator)
            : throw new ImageException("The image was removed by somebody else as soon as it was there. Try again.") { IsTransient = true };

    private static CollectionView View(CollectionResult result, bool dryRun) =>
        new([.. result.Items.Select(item => new CollectedView(item.Kind, item.Name, item.Bytes))], result.Bytes, dryRun);
}

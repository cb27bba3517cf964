using BytePort.Builds.Blobs;
using BytePort.Builds.Detection;
using BytePort.Builds.Logs;
using BytePort.Builds.Sites;
using BytePort.Builds.Sources;
using BytePort.Manifest;
using Microsoft.Extensions.Logging;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>Builds services: files as they are, everything else in a machine of its own. Thread safe.</summary>
public sealed class ServiceBuilder
{
    // What the guest's tar may hold beyond what source may: paths of deep dependencies.
    private const int MaxPathBytes = 4096;
    private const int MaxDepth = 128;

    private readonly MachineHost _machines;
    private readonly ImageStore _images;
    private readonly BlobStore _blobs;
    private readonly string _workFolder;
    private readonly TimeProvider _time;
    private readonly ILogger<ServiceBuilder> _logger;
    private readonly Lazy<string> _work;

    /// <param name="workFolder">For this builder alone; best on the blobs' file system. Emptied at the first build: what is there is a dead process's.</param>
    public ServiceBuilder(
        MachineHost machines, ImageStore images, BlobStore blobs, string workFolder, TimeProvider time, ILogger<ServiceBuilder> logger)
    {
        (_machines, _images, _blobs, _workFolder, _time, _logger) = (machines, images, blobs, workFolder, time, logger);
        _work = new Lazy<string>(PrepareWorkFolder);
    }

    /// <summary>
    /// A key that is equal for builds that give an equal artifact: same plan, same source, same variables. Lower-case
    /// hexadecimal SHA-256.
    /// </summary>
    public static string CacheKey(ServicePlan plan, string sourceDigest, IReadOnlyDictionary<string, string> variables)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(variables);
        return CacheKeys.Of(plan, sourceDigest, variables);
    }

    /// <param name="variables">The project's variables: in the environment of the install and build commands.</param>
    /// <exception cref="BuildException">The build failed; see its code.</exception>
    /// <exception cref="OperationCanceledException">Canceled: the machine is gone and nothing is kept.</exception>
    public async Task<Artifact> BuildAsync(
        ServicePlan plan,
        FetchedSource source,
        BuildLimits limits,
        IReadOnlyDictionary<string, string> variables,
        BuildLog log,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(variables);
        ArgumentNullException.ThrowIfNull(log);
        var folder = Path.Combine(source.Directory, plan.Path);
        if (!Directory.Exists(folder))
            throw new BuildException(BuildErrors.PathMissing, $"The folder '{plan.Path}' of the service '{plan.Name}' is not in the source.");

        using var timeUp = new CancellationTokenSource(limits.MaxTime, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(timeUp.Token, cancellationToken);
        var work = Path.Combine(_work.Value, Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(work);
        try
        {
            return plan.NeedsMachine
                ? await BuildInStackAsync(plan, folder, work, limits, variables, log, stop.Token)
                : await PackSiteAsync(plan, OutputFolder(folder, plan), limits, log, stop.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new BuildException(
                BuildErrors.TimedOut,
                $"The build took longer than {limits.MaxTime.TotalMinutes:0.#} minutes and was stopped. Look in the log for what it was doing; a command that waits for input or serves files never ends.",
                e);
        }
        catch (ImageException e)
        {
            throw new BuildException(BuildErrors.StackUnavailable, e.Message, e);
        }
        catch (CommandException e)
        {
            throw new BuildException(BuildErrors.MachineFailed, e.Message, e);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private async Task<Artifact> BuildInStackAsync(
        ServicePlan plan,
        string folder,
        string work,
        BuildLimits limits,
        IReadOnlyDictionary<string, string> variables,
        BuildLog log,
        CancellationToken cancellationToken)
    {
        using var use = _images.BeginUse();
        var stack = await _images.GetStackAsync(plan.Stack!, new LogProgress(log), cancellationToken, use);
        if (plan.InstallCommand is null && plan.BuildCommand is null)
        {
            log.Write("Nothing to install or build: the source runs as it is.");
            return await PackAppAsync(plan, stack, folder, work, log, cancellationToken);
        }

        var sourceLayer = Path.Combine(work, "source.erofs");
        await LayerPacker.PackAsync(
            folder, sourceLayer, new LayerOptions { Uid = AppProcess.User, Gid = AppProcess.User }, cancellationToken);
        var image = Path.Combine(work, "output.img");
        await new MachineBuild(_machines, stack, plan, limits, variables, log, _time).RunAsync(sourceLayer, image, cancellationToken);

        var built = Path.Combine(work, "built", "app");
        Directory.CreateDirectory(built);
        await ReadOutputAsync(plan, image, built, limits, log, cancellationToken);
        File.Delete(image);
        return plan.Kind == ServiceKind.Static
            ? await PackSiteAsync(plan, built, limits, log, cancellationToken)
            : await PackAppAsync(plan, stack, built, work, log, cancellationToken);
    }

    private static async Task ReadOutputAsync(
        ServicePlan plan, string image, string folder, BuildLimits limits, BuildLog log, CancellationToken cancellationToken)
    {
        var rules = new TreeRules
        {
            Limits = new SourceLimits
            {
                MaxBytes = limits.MaxOutputBytes,
                MaxFiles = limits.MaxOutputFiles,
                MaxPathBytes = MaxPathBytes,
                MaxDepth = MaxDepth,
            },
            RefuseCaseCollisions = false,
            // An app layer's links are followed in the guest alone, and lead to its own system: a virtual environment's
            // python is one. The edge serves files from the host: there no link may leave.
            LinksStayInside = plan.Kind == ServiceKind.Static,
        };
        try
        {
            var writer = new TreeWriter(folder, rules);
            await using var tar = new FileStream(image, FileMode.Open, FileAccess.Read, FileShare.Read, 256 * 1024, useAsync: false);
            await ArchiveExtractor.ExtractTarAsync(tar, writer, rules.Limits, log, cancellationToken);
            writer.Complete();
            log.Write($"The build left {writer.Count:N0} files and folders, {writer.Bytes / 1048576.0:0.0} MiB.");
        }
        catch (SourceException e) when (e.Code is SourceErrors.TooLarge or SourceErrors.TooManyFiles)
        {
            throw MachineBuild.TooLarge(limits, e);
        }
        catch (SourceException e)
        {
            throw new BuildException(BuildErrors.OutputRefused, $"The built files are refused. {e.Message}", e);
        }
    }

    private async Task<Artifact> PackSiteAsync(ServicePlan plan, string folder, BuildLimits limits, BuildLog log, CancellationToken cancellationToken)
    {
        try
        {
            var began = _time.GetTimestamp();
            var packed = await new StaticTreePacker(_blobs).PackAsync(folder, plan.Spa, limits.MaxOutputBytes, log, cancellationToken);
            var took = _time.GetElapsedTime(began);
            var files = packed.Tree.Files;
            log.Write($"{files.Count:N0} {(files.Count == 1 ? "file" : "files")} to serve, {packed.NewBlobs:N0} new to the store, in {took.TotalMilliseconds:0} ms.");
            if (files.All(file => file.Path is not "index.html"))
                log.Write("There is no index.html: '/' will not be found.");
            Log.PackedSite(_logger, plan.Name, packed.Digest, files.Count, packed.NewBlobs, took.TotalMilliseconds);
            return new StaticArtifact(packed.Digest, files.Count, packed.Size);
        }
        catch (SiteException e)
        {
            throw new BuildException(
                e.IsMissing ? BuildErrors.OutputMissing : BuildErrors.OutputRefused,
                e.IsMissing ? $"{e.Message.TrimEnd('.')} in '{plan.Output}'. Set output in byteport.yaml to the folder with the files." : e.Message,
                e);
        }
        catch (BlobTooLargeException e)
        {
            throw MachineBuild.TooLarge(limits, e);
        }
    }

    private async Task<Artifact> PackAppAsync(
        ServicePlan plan, StackImage stack, string folder, string work, BuildLog log, CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        var file = Path.Combine(work, "app.erofs");
        await LayerPacker.PackAsync(folder, file, new LayerOptions { Uid = AppProcess.User, Gid = AppProcess.User }, cancellationToken);
        var blob = await _blobs.MoveInAsync(file, cancellationToken);
        var took = _time.GetElapsedTime(began);
        log.Write($"Packed the app: {blob.Size / 1048576.0:0.0} MiB in {took.TotalSeconds:0.0} s.");
        Log.PackedApp(_logger, plan.Name, blob.Digest, blob.Size, took.TotalMilliseconds);
        return new AppArtifact(blob.Digest, stack.Reference, plan.StartCommand!, blob.Size);
    }

    private static string OutputFolder(string folder, ServicePlan plan)
    {
        var output = Path.Combine(folder, plan.Output ?? "");
        return Directory.Exists(output)
            ? output
            : throw new BuildException(BuildErrors.OutputMissing, $"The folder '{plan.Output}' that is to be served is not in the source, and there is no build that makes it.");
    }

    private string PrepareWorkFolder()
    {
        if (Directory.Exists(_workFolder))
            Directory.Delete(_workFolder, recursive: true);
        return Directory.CreateDirectory(_workFolder).FullName;
    }

    /// <summary>Passes on in the caller's thread: the order of lines is part of what a log says.</summary>
    private sealed class LogProgress(BuildLog log) : IProgress<string>
    {
        public void Report(string value) => log.Write(value);
    }
}

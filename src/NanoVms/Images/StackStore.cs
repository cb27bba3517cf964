using NanoVms.Commands;

namespace NanoVms.Images;

/// <summary>
/// Makes stacks from their recipes and keeps their layers. A layer's file name is its recipe's key; it is written aside
/// under a lock and renamed, so processes that share the folder make each layer once, and a process that dies leaves only
/// what the next one clears away.
/// </summary>
internal sealed class StackStore(string folder, TimeProvider time)
{
    // Measured with Node 22 in an emulated guest: the first start of node takes 2.1 s of processor time from an image that
    // is not compressed, 3.3 s from lz4hc, 2.8 s from lz4hc in blocks of 64 KiB. It costs 90 MiB of disk a stack, once a host.
    private const LayerCompression Compression = LayerCompression.None;

    private readonly string _layers = Path.Combine(folder, "stacks");
    private readonly string _aside = Path.Combine(folder, "stacks", "aside");
    private readonly NpmRegistry _registry = new(Path.Combine(folder, "registry"), time);

    public async Task<StackImage> GetAsync(string reference, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(reference);
        Directory.CreateDirectory(_aside);
        var at = reference.IndexOf('@', StringComparison.Ordinal);
        var name = at < 0 ? reference : reference[..at];
        var recipe = StackRecipe.Find(name)
            ?? throw new ImageException($"There is no stack '{name}'. Known are {string.Join(", ", StackRecipe.Names.Order(StringComparer.Ordinal))}.");
        var wanted = at < 0 ? recipe.Default ?? "*" : reference[(at + 1)..].Trim();
        return recipe.Npm is not null
            ? await GetNpmAsync(recipe, wanted, progress, cancellationToken)
            : await GetDebianAsync(recipe, wanted, progress, cancellationToken);
    }

    private async Task<StackImage> GetDebianAsync(StackRecipe recipe, string wanted, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var only = recipe.Version!;
        var range = Range(recipe, wanted);
        if (!SemanticVersion.TryParse(Pad(only), out var version) || !range.Contains(version))
            throw new ImageException($"There is no {recipe.Name} {wanted}: this platform has {recipe.Name} {only} (of Debian {recipe.Debian!.Suite}).");
        var layer = await MakeAsync(
            recipe,
            only,
            async (work, output) =>
            {
                var root = Path.Combine(work, "root");
                await CommandRunner.RunCheckedAsync(DebianRoot.Command(recipe.Debian!, root), cancellationToken);
                foreach (var command in recipe.Debian!.Run)
                    await CommandRunner.RunCheckedAsync(DebianRoot.Chroot(root, command), cancellationToken);
                DebianRoot.Finish(recipe.Debian!, root);
                await LayerPacker.PackRootAsync(root, output, Compression, cancellationToken);
            },
            progress,
            cancellationToken);
        return new StackImage(recipe.Name, only, [layer], recipe.Environment);
    }

    private async Task<StackImage> GetNpmAsync(StackRecipe recipe, string wanted, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        // An exact version that was made before needs no registry: what runs must start without it.
        var isMade = SemanticVersion.TryParse(wanted, out var exact) && File.Exists(LayerPath(recipe, exact.ToString()));
        var package = isMade ? null : await ResolveAsync(recipe, wanted, progress, cancellationToken);
        var version = (package?.Version ?? exact).ToString();

        var below = GetAsync(recipe.On!, progress, cancellationToken);
        var own = MakeAsync(
            recipe,
            version,
            (work, output) => MakeNpmLayerAsync(recipe.Npm!, package!, work, output, progress, cancellationToken),
            progress,
            cancellationToken);
        await Task.WhenAll(below, own);
        return new StackImage(recipe.Name, version, [.. (await below).Layers, await own], recipe.Environment);
    }

    private async Task<NpmPackage> ResolveAsync(StackRecipe recipe, string wanted, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var range = Range(recipe, wanted);
        var packages = await _registry.GetVersionsAsync(recipe.Npm!.Runtime, progress, cancellationToken);
        var newest = range.Newest(packages.Select(package => package.Version))
            ?? throw new ImageException($"There is no {recipe.Name} {wanted} in the npm registry (as the package {recipe.Npm.Runtime}).");
        return packages.First(package => package.Version == newest);
    }

    private async Task MakeNpmLayerAsync(
        NpmRecipe npm, NpmPackage runtime, string work, string output, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var manager = await ManagerForAsync(npm, runtime.Version, progress, cancellationToken);
        var runtimeFile = Path.Combine(work, "runtime.tgz");
        var managerFile = Path.Combine(work, "manager.tgz");
        await Task.WhenAll(
            NpmRegistry.DownloadAsync(runtime, runtimeFile, cancellationToken),
            NpmRegistry.DownloadAsync(manager, managerFile, cancellationToken));

        var local = Path.Combine(work, "root/usr/local");
        await NpmTarball.ExtractAsync(runtimeFile, path => path is "bin/node" or "LICENSE" ? Path.Combine(local, path == "LICENSE" ? "share/doc/node/LICENSE" : path) : null, cancellationToken);
        if (!File.Exists(Path.Combine(local, "bin/node")))
            throw new ImageException($"The package {runtime.Name}@{runtime.Version} holds no bin/node.");
        var module = $"lib/node_modules/{npm.Manager}";
        await NpmTarball.ExtractAsync(
            managerFile,
            path => path.StartsWith("docs/", StringComparison.Ordinal) || path.StartsWith("man/", StringComparison.Ordinal) ? null : Path.Combine(local, module, path),
            cancellationToken);
        foreach (var (command, script) in (ReadOnlySpan<(string, string)>)[("npm", "npm-cli.js"), ("npx", "npx-cli.js")])
        {
            var target = Path.Combine(local, module, "bin", script);
            if (!File.Exists(target))
                throw new ImageException($"The package {manager.Name}@{manager.Version} holds no bin/{script}.");
            File.SetUnixFileMode(target, File.GetUnixFileMode(target) | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
            File.CreateSymbolicLink(Path.Combine(local, "bin", command), $"../{module}/bin/{script}");
        }

        await LayerPacker.PackAsync(
            Path.Combine(work, "root"), output, new LayerOptions { Prefix = "", Compression = Compression }, cancellationToken);
    }

    private async Task<NpmPackage> ManagerForAsync(NpmRecipe npm, SemanticVersion runtime, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var major = npm.Managers.GetValueOrDefault(runtime.Major.ToString(null, null));
        if (!VersionRange.TryParse(major ?? "*", out var range))
            throw new InvalidOperationException($"The recipe's version '{major}' of {npm.Manager} is malformed.");
        var packages = await _registry.GetVersionsAsync(npm.Manager, progress, cancellationToken);
        var fitting = packages.Where(package =>
            range.Contains(package.Version)
            && (package.Engine is null || !VersionRange.TryParse(package.Engine, out var engine) || engine.Contains(runtime)));
        return fitting.MaxBy(package => package.Version)
            ?? throw new ImageException($"The npm registry has no {npm.Manager} {major} that runs on Node {runtime}.");
    }

    private async Task<string> MakeAsync(
        StackRecipe recipe, string version, Func<string, string, Task> make, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var path = LayerPath(recipe, version);
        if (File.Exists(path))
            return path;
        var key = Path.GetFileNameWithoutExtension(path);
        using var held = await FileLock.AcquireAsync(
            Path.Combine(_aside, key + ".lock"), () => progress?.Report($"Another process makes {recipe.Name} {version}: waiting."), cancellationToken);
        if (File.Exists(path))
            return path;

        var work = Path.Combine(_aside, key);
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
        Directory.CreateDirectory(work);
        var started = time.GetTimestamp();
        progress?.Report($"Making the {recipe.Name} {version} image{(recipe.Debian is null ? "" : $" from Debian {recipe.Debian.Suite} packages, about half a minute, once")}.");
        try
        {
            var output = Path.Combine(work, "layer.erofs");
            await make(work, output);
            File.SetUnixFileMode(output, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            using (var file = new FileStream(output, FileMode.Open, FileAccess.Read, FileShare.Read, 0))
                RandomAccess.FlushToDisk(file.SafeFileHandle);
            File.Move(output, path);
            progress?.Report($"Made {recipe.Name} {version}: {new FileInfo(path).Length >> 20} MiB in {time.GetElapsedTime(started).TotalSeconds:0} s.");
            return path;
        }
        catch (CommandException e)
        {
            throw new ImageException($"The {recipe.Name} {version} image could not be made: {(e.LastLines.Length > 0 ? $"{e.Program} ended with exit code {e.ExitCode}: {e.LastLines}" : e.Message)}", e) { IsTransient = e.Failure != CommandFailure.Missing };
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private string LayerPath(StackRecipe recipe, string version) =>
        Path.Combine(_layers, $"{recipe.Name}-{version}-{recipe.Key(version)}.erofs");

    private static VersionRange Range(StackRecipe recipe, string wanted)
    {
        var text = recipe.Aliases.GetValueOrDefault(wanted.ToLowerInvariant()) ?? wanted;
        return VersionRange.TryParse(text, out var range)
            ? range
            : throw new ImageException(
                $"'{wanted}' is no version of {recipe.Name}. Write one as 22, 20.11, >=18 <23"
                + $"{(recipe.Aliases.Count > 0 ? $", or one of {string.Join(", ", recipe.Aliases.Keys)}" : "")}.");
    }

    private static string Pad(string version) => string.Join('.', version.Split('.').Concat(["0", "0"]).Take(3));
}

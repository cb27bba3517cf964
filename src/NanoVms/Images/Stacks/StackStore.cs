using System.Text.RegularExpressions;
using NanoVms.Commands;
using NanoVms.Images.Collection;

namespace NanoVms.Images.Stacks;

/// <summary>
/// Makes stacks from their recipes and keeps them: layers, each named for its recipe's key, and a record for each image of them. Both
/// are written aside under a lock and renamed, so processes that share the folder make each once, and a process that dies leaves only
/// what the next one clears away.
/// </summary>
internal sealed partial class StackStore(string folder, StackRecipes recipes, TimeProvider time)
{
    // Measured with Node 22 in an emulated guest: the first start of node takes 2.1 s of processor time from an image that
    // is not compressed, 3.3 s from lz4hc, 2.8 s from lz4hc in blocks of 64 KiB. It costs 90 MiB of disk a stack, once a host.
    public const LayerCompression Compression = LayerCompression.None;

    private const int MaxDepth = 8;

    private readonly NpmRegistry _registry = new(Path.Combine(folder, "registry"), time);

    public string Layers { get; } = Path.Combine(folder, "stacks");

    public string Records { get; } = Path.Combine(folder, "stacks", "images");

    public string Aside { get; } = Path.Combine(folder, "stacks", "aside");

    public async Task<StackImage> GetAsync(string reference, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(reference);
        if (ExactForm().Match(reference) is { Success: true } exact)
        {
            var key = exact.Groups["key"].Value;
            if (await FindAsync(exact.Groups["name"].Value, exact.Groups["version"].Value, key, lease, cancellationToken) is { } kept)
                return kept;
            reference = reference[..^(key.Length + 1)];
            progress?.Report($"The image {reference}+{key} is not kept any more; {reference} of today's recipe stands in its place.");
        }

        return await MakeAsync(await PlanAsync(reference, 0, progress, cancellationToken), progress, lease, cancellationToken);
    }

    /// <summary>Makes a stack of a recipe that is not among the kept ones yet.</summary>
    public async Task<StackImage> MakeAsync(StackRecipe recipe, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken) =>
        await MakeAsync(await PlanAsync(recipe, recipe.Default ?? "*", 0, progress, cancellationToken), progress, lease, cancellationToken);

    /// <summary>Every stack that was made, with where its record is.</summary>
    public IEnumerable<(string Path, StackRecord Record)> ReadRecords() => Directory.Exists(Records)
        ? Directory.EnumerateFiles(Records, "*.json").Order(StringComparer.Ordinal)
            .Select(path => (path, Record: SafeFile.ReadJson(path, CollectionJson.Default.StackRecord)))
            .Where(found => found.Record is not null)
            .Select(found => (found.path, found.Record!))
        : [];

    public IEnumerable<string> PathsOf(StackRecord record) => record.Layers.Select(layer => Path.Combine(Layers, Path.GetFileName(layer)));

    private string RecordPath(string name, string version, string key) => Path.Combine(Records, $"{name}-{version}-{key}.json");

    private async Task<StackImage?> FindAsync(string name, string version, string key, ImageLease lease, CancellationToken cancellationToken)
    {
        var path = RecordPath(name, version, key);
        return SafeFile.ReadJson(path, CollectionJson.Default.StackRecord) is { } record
            && await lease.TryUseAsync([.. PathsOf(record), path], cancellationToken)
            ? new StackImage(record.Name, record.StackVersion, [.. PathsOf(record)], record.Environment) { Digest = record.Key, User = record.User }
            : null;
    }

    private async Task<StackPlan> PlanAsync(string reference, int depth, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var at = reference.IndexOf('@', StringComparison.Ordinal);
        var recipe = recipes.Get(at < 0 ? reference : reference[..at]);
        return await PlanAsync(recipe, at < 0 ? recipe.Default ?? "*" : reference[(at + 1)..].Trim(), depth, progress, cancellationToken);
    }

    private async Task<StackPlan> PlanAsync(StackRecipe recipe, string wanted, int depth, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        if (depth == MaxDepth)
            throw new ImageException($"{recipe.Origin}: the stack '{recipe.Name}' stands on more than {MaxDepth} others, or on itself. Look at 'on' of each.") { Fault = ImageFault.Invalid };
        var range = Range(recipe, wanted);
        var below = recipe.On is { } on ? await PlanAsync(on, depth + 1, progress, cancellationToken) : null;
        if (recipe.Npm is { } npm)
        {
            // An exact version that was made before needs no registry: what runs must start without it.
            if (SemanticVersion.TryParse(wanted, out var exact) && new StackPlan(recipe, exact.ToString(), null, below) is var known && File.Exists(Path.Combine(Layers, known.LayerName)))
                return known;
            var packages = await _registry.GetVersionsAsync(npm.Runtime, progress, cancellationToken);
            var newest = range.Newest(packages.Select(package => package.Version))
                ?? throw new ImageException($"There is no {recipe.Name} {wanted} in the npm registry (as the package {npm.Runtime}).") { Fault = ImageFault.NotFound };
            return new StackPlan(recipe, newest.ToString(), packages.First(package => package.Version == newest), below);
        }

        var only = recipe.Version!;
        return SemanticVersion.TryParse(Pad(only), out var version) && range.Contains(version)
            ? new StackPlan(recipe, only, null, below)
            : throw new ImageException(
                $"There is no {recipe.Name} {wanted}: this platform has {recipe.Name} {only}{(recipe.Debian is null ? "" : $" (of Debian {recipe.Debian.Suite})")}.")
            { Fault = ImageFault.NotFound };
    }

    private async Task<StackImage> MakeAsync(StackPlan plan, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken)
    {
        var (name, version, key) = (plan.Recipe.Name, plan.Version, plan.Key);
        if (await FindAsync(name, version, key, lease, cancellationToken) is { } made)
            return made;
        _ = Directory.CreateDirectory(Records);
        _ = Directory.CreateDirectory(Aside);
        var layers = new List<Task>();
        for (var part = plan; part is not null; part = part.Below)
        {
            if (part.HasLayer)
                layers.Add(MakeLayerAsync(part, progress, lease, cancellationToken));
        }

        await Task.WhenAll(layers);
        using (await FileLock.AcquireAsync(Path.Combine(Aside, $"{name}-{version}-{key}.record.lock"), null, cancellationToken))
        {
            SafeFile.WriteJson(
                RecordPath(name, version, key),
                new StackRecord
                {
                    Name = name,
                    StackVersion = version,
                    Key = key,
                    Layers = plan.Layers,
                    Environment = plan.Environment,
                    User = plan.User,
                    MadeAt = time.GetUtcNow(),
                },
                CollectionJson.Default.StackRecord);
        }

        return await FindAsync(name, version, key, lease, cancellationToken)
            ?? throw new ImageException($"The image {name}@{version} was removed while it was made. Try again.") { IsTransient = true };
    }

    private async Task MakeLayerAsync(StackPlan plan, IProgress<string>? progress, ImageLease lease, CancellationToken cancellationToken)
    {
        var (recipe, version) = (plan.Recipe, plan.Version);
        var path = Path.Combine(Layers, plan.LayerName);
        var key = Path.GetFileNameWithoutExtension(path);
        using var held = await FileLock.AcquireAsync(
            Path.Combine(Aside, key + ".lock"), () => progress?.Report($"Another process makes {recipe.Name} {version}: waiting."), cancellationToken);
        while (!await lease.TryUseAsync([path], cancellationToken))
        {
            var work = Path.Combine(Aside, key);
            if (Directory.Exists(work))
                Directory.Delete(work, recursive: true);
            _ = Directory.CreateDirectory(work);
            var started = time.GetTimestamp();
            progress?.Report($"Making the {recipe.Name} {version} image{(recipe.Debian is null ? "" : $" from Debian {recipe.Debian.Suite} packages, about half a minute, once")}.");
            try
            {
                var output = Path.Combine(work, "layer.erofs");
                await FillAsync(plan, work, output, progress, cancellationToken);
                File.SetUnixFileMode(output, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
                using (var file = new FileStream(output, FileMode.Open, FileAccess.Read, FileShare.Read, 0))
                    RandomAccess.FlushToDisk(file.SafeFileHandle);
                File.Move(output, path);
                progress?.Report($"Made {recipe.Name} {version}: {new FileInfo(path).Length >> 20} MiB in {time.GetElapsedTime(started).TotalSeconds:0} s.");
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
    }

    private async Task FillAsync(StackPlan plan, string work, string output, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var recipe = plan.Recipe;
        if (recipe.Npm is not null)
        {
            var package = plan.Package ?? throw new ImageException($"The image {recipe.Name}@{plan.Version} was removed while it was asked for. Try again.") { IsTransient = true };
            await new NpmLayer(_registry).MakeAsync(recipe, package, work, output, progress, cancellationToken);
            return;
        }

        var root = Path.Combine(work, "root");
        if (recipe.Debian is { } debian)
        {
            await CommandRunner.RunCheckedAsync(DebianRoot.Command(debian, root), cancellationToken);
            foreach (var command in debian.Run)
                await CommandRunner.RunCheckedAsync(DebianRoot.Chroot(root, command), cancellationToken);
            DebianRoot.Finish(debian, root);
        }

        _ = Directory.CreateDirectory(root);
        foreach (var file in recipe.Files)
            file.Write(root);
        if (recipe is { Debian: not null, User: { } user })
            CheckUser(recipe, user, root);
        await LayerPacker.PackRootAsync(root, output, Compression, cancellationToken);
    }

    /// <summary>A name that nobody has would only show when a machine starts.</summary>
    private static void CheckUser(StackRecipe recipe, string user, string root)
    {
        if (!File.ReadLines(Path.Combine(root, "etc/passwd")).Any(line => line.StartsWith(user + ":", StringComparison.Ordinal)))
            throw new ImageException($"{recipe.Origin}: user is '{user}', but none of the packages makes that account. Use root, app, or an account of a package.") { Fault = ImageFault.Invalid };
    }

    private static VersionRange Range(StackRecipe recipe, string wanted)
    {
        var text = recipe.Aliases.GetValueOrDefault(wanted.ToLowerInvariant()) ?? wanted;
        return VersionRange.TryParse(text, out var range)
            ? range
            : throw new ImageException(
                $"'{wanted}' is no version of {recipe.Name}. Write one as 22, 20.11, >=18 <23"
                + $"{(recipe.Aliases.Count > 0 ? $", or one of {string.Join(", ", recipe.Aliases.Keys)}" : "")}.")
            { Fault = ImageFault.NotFound };
    }

    private static string Pad(string version) => string.Join('.', version.Split('.').Concat(["0", "0"]).Take(3));

    [GeneratedRegex(@"\A(?<name>[a-z][a-z0-9-]{0,38})@(?<version>[0-9][0-9A-Za-z.-]{0,60})\+(?<key>[0-9a-f]{16})\z", RegexOptions.ExplicitCapture)]
    private static partial Regex ExactForm();
}

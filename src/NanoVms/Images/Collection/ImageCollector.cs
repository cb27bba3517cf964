using NanoVms.Commands;
using NanoVms.Images.Oci;
using NanoVms.Images.Stacks;

namespace NanoVms.Images.Collection;

/// <summary>Lists what a store holds, and removes what nobody needs.</summary>
/// <remarks>
/// Steps of a removal, with the store's gate held alone so that nobody begins to use what is about to go: 1 what processes use now;
/// 2 what users need, from their machines, snapshots and lists, and the pins; in this order, because a use ends only once a machine's
/// state file is there; 3 records go by a rename, then layers that no record has, so that no record ever names a layer that is not
/// there; 4 without the gate what was taken is deleted. A process that dies in between leaves whole images, or trash.
/// </remarks>
internal sealed class ImageCollector(string folder, StackStore stacks, OciStore registryImages, StackRecipes recipes, TimeProvider time)
{
    private readonly StoreGate _gate = new(folder);
    private readonly Trash _trash = new(folder);
    private readonly string _pins = Path.Combine(folder, "pins.json");

    public async Task<IReadOnlyList<StoredImage>> ListAsync(CancellationToken cancellationToken)
    {
        using var entered = await _gate.EnterAsync(cancellationToken);
        return [.. Read(keep: false).Images.Select(found => found.Image)];
    }

    /// <exception cref="ImageException">It cannot be read what is needed; nothing was removed.</exception>
    public async Task<CollectionResult> CollectAsync(CollectionOptions options, CancellationToken cancellationToken)
    {
        var items = new List<CollectedItem>();
        using (await _gate.EnterAloneAsync(cancellationToken))
        {
            // 1.
            var used = ImageLease.ReadAll(folder);
            // 2.
            var content = Read(keep: true);
            // 3.
            var before = time.GetUtcNow() - (options.OlderThan > CollectionOptions.LeastAge ? options.OlderThan : CollectionOptions.LeastAge);
            var kept = Kept(content);
            var gone = content.Images
                .Where(found => IsFree(found, used) && !kept.Contains(found) && (found.Image.LastUsed < before || !found.Files.All(File.Exists)))
                .ToList();
            Remove(content, gone, used, before.UtcDateTime, items, options.DryRun);
        }

        // 4.
        if (!options.DryRun)
            _trash.Empty();
        items.AddRange(await new Unfinished(folder, time).ClearAsync(options.DryRun, cancellationToken));
        return new CollectionResult(items, items.Sum(item => item.Bytes));
    }

    /// <summary>Removes one stack, image of a registry or operating system, and its layers that nothing else has.</summary>
    /// <exception cref="ImageException">There is none, or something needs it.</exception>
    public async Task<CollectionResult> RemoveAsync(string reference, CancellationToken cancellationToken)
    {
        var items = new List<CollectedItem>();
        using (await _gate.EnterAloneAsync(cancellationToken))
        {
            var used = ImageLease.ReadAll(folder);
            var content = Read(keep: true);
            var gone = Find(content, reference);
            foreach (var found in gone)
            {
                if (found.Image.Pinned)
                    throw new ImageException($"{found.Image.Reference} is pinned. Take the pin off first: byteport image unpin {found.Image.Reference}") { Fault = ImageFault.InUse };
                if (found.Image.NeededBy is [var first, ..] users)
                    throw new ImageException($"{found.Image.Reference} is needed by {string.Join(", ", users.Take(5))}{(users.Count > 5 ? $" and {users.Count - 5} more" : "")}. Remove {first} first.") { Fault = ImageFault.InUse };
                if (!IsFree(found, used))
                    throw new ImageException($"{found.Image.Reference} is being used by something that starts just now. Try again in a moment.") { Fault = ImageFault.InUse, IsTransient = true };
            }

            // Layers of these go whatever their age; of the others none does.
            var layers = gone.SelectMany(found => found.Files).ToHashSet(StringComparer.Ordinal);
            Remove(content, gone, used, DateTime.MaxValue, items, dryRun: false, layers);
        }

        _trash.Empty();
        return new CollectionResult(items, items.Sum(item => item.Bytes));
    }

    /// <exception cref="ImageException">There is none to pin.</exception>
    public async Task<IReadOnlyList<string>> PinAsync(string reference, CancellationToken cancellationToken)
    {
        using var alone = await _gate.EnterAloneAsync(cancellationToken);
        var found = Find(Read(keep: false), reference);
        var names = found.Select(f => f.Image.Kind == ImageKind.Stack ? $"{f.Image.Reference}+{f.Image.Digest}" : f.Image.Reference).ToList();
        WritePins([.. ReadPins().Union(names)]);
        return names;
    }

    /// <exception cref="ImageException">It is not pinned.</exception>
    public async Task UnpinAsync(string reference, CancellationToken cancellationToken)
    {
        using var alone = await _gate.EnterAloneAsync(cancellationToken);
        var pins = ReadPins();
        var gone = pins.Where(pin => pin == reference || pin.StartsWith(reference + "+", StringComparison.Ordinal) || pin == OciReference.TryParse(reference)?.ToString()).ToList();
        if (gone.Count == 0)
            throw new ImageException($"'{reference}' is not pinned.{(pins.Count > 0 ? $" Pinned are {string.Join(", ", pins.Order(StringComparer.Ordinal).Take(20))}." : "")}") { Fault = ImageFault.NotFound };
        WritePins([.. pins.Except(gone)]);
    }

    private StoreContent Read(bool keep) =>
        StoreContent.Read(folder, stacks, registryImages, new ImageUsers(folder, _gate, time).ReadNeeds(keep), ReadPins());

    private static bool IsFree(StoredFiles found, HashSet<string> used) =>
        found.Image is { Pinned: false, NeededBy.Count: 0 } && !found.IsUsedBy(used);

    /// <summary>What is kept although nobody needs it yet: the kernels in force, and the newest of each stack that a recipe still makes, so that the next start needs no network.</summary>
    private HashSet<StoredFiles> Kept(StoreContent content)
    {
        var current = StoreContent.CurrentKernels(folder);
        var names = recipes.Names.ToHashSet(StringComparer.Ordinal);
        return
        [
            .. content.Images.Where(found => found.Image.Kind == ImageKind.Kernel && current.Contains(found.Image.Reference)),
            .. content.Images.Where(found => found.Image.Kind == ImageKind.Stack && found.Files.All(File.Exists))
                .GroupBy(found => found.Image.Reference.Split('@')[0])
                .Where(group => names.Contains(group.Key))
                .Select(group => group.MaxBy(found => found.Image.LastUsed)!),
        ];
    }

    /// <param name="only">The layers that may go; null for all.</param>
    private void Remove(
        StoreContent content, IReadOnlyList<StoredFiles> gone, HashSet<string> used, DateTime before, List<CollectedItem> items, bool dryRun, HashSet<string>? only = null)
    {
        foreach (var found in gone)
        {
            var whole = found.Image.Kind is ImageKind.Kernel or ImageKind.Initramfs or ImageKind.System;
            items.Add(new CollectedItem(WordOf(found.Image.Kind), found.Image.Digest.Length == 0 || whole ? found.Image.Reference : $"{found.Image.Reference} ({Short(found.Image.Digest)})", whole ? found.Image.Size : 0));
            if (!dryRun)
                _ = _trash.Take(found.Record);
        }

        var had = content.Images.Except(gone).SelectMany(found => found.Files).ToHashSet(StringComparer.Ordinal);
        foreach (var layer in content.Layers.Where(layer =>
            !had.Contains(layer.FullName) && !content.Needed.Contains(layer.FullName) && !used.Contains(layer.FullName)
            && layer.LastWriteTimeUtc < before && only?.Contains(layer.FullName) != false).ToList())
        {
            items.Add(new CollectedItem("layer", layer.Name, layer.Length));
            if (!dryRun)
                _ = _trash.Take(layer.FullName);
        }
    }

    private static List<StoredFiles> Find(StoreContent content, string reference)
    {
        var images = content.Images.Where(found => found.Image.Kind is ImageKind.Stack or ImageKind.Oci or ImageKind.System).ToList();
        var found = images.Where(image => image.IsCalled(reference)).ToList();
        if (found.Count == 0)
            found = [.. images.Where(image => image.Image.Kind == ImageKind.Stack && image.Image.Reference.StartsWith(reference + "@", StringComparison.Ordinal))];
        return found.Count > 0 ? found : throw new ImageException($"There is no image '{reference}' in the store. 'byteport image ls' shows what there is.") { Fault = ImageFault.NotFound };
    }

    private HashSet<string> ReadPins()
    {
        if (!File.Exists(_pins))
            return [];
        var pins = SafeFile.ReadJson(_pins, CollectionJson.Default.ImagePins)
            ?? throw new ImageException($"{_pins} cannot be read, so it is not known what is pinned. Correct it, or delete it to take all pins off.");
        return [.. pins.References];
    }

    private void WritePins(IReadOnlyList<string> references) =>
        SafeFile.WriteJson(_pins, new ImagePins { References = [.. references.Order(StringComparer.Ordinal)] }, CollectionJson.Default.ImagePins);

    private static string WordOf(ImageKind kind) => kind switch
    {
        ImageKind.Stack => "stack",
        ImageKind.Oci => "oci",
        ImageKind.Kernel => "kernel",
        ImageKind.System => "system",
        _ => "initramfs",
    };

    private static string Short(string digest) => digest.Length > 19 ? digest[..19] : digest;
}

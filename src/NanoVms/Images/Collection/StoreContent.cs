using NanoVms.Images.Oci;
using NanoVms.Images.Stacks;

namespace NanoVms.Images.Collection;

/// <summary>An image and its files.</summary>
/// <param name="Record">The file by which it is found, or the folder that it is.</param>
/// <param name="Files">What a machine needs of it.</param>
internal sealed record StoredFiles(StoredImage Image, string Record, IReadOnlyList<string> Files)
{
    /// <summary>True for what a need or a command may call it by.</summary>
    public bool IsCalled(string reference) => reference == Image.Reference
        || reference == Image.Digest
        || (Image.Kind == ImageKind.Stack && reference == $"{Image.Reference}+{Image.Digest}")
        || (Image.Kind == ImageKind.Oci && OciReference.TryParse(reference)?.ToString() == Image.Reference);

    /// <summary>
    /// True when the image must stay for the sake of these files. Images share layers, so one of several is no sign of this one; the layer
    /// itself stays in any case.
    /// </summary>
    public bool IsUsedBy(IReadOnlySet<string> files) => files.Contains(Record)
        || (Image.Kind is ImageKind.Stack or ImageKind.Oci ? Files.Count > 0 && Files.All(files.Contains) : Files.Any(files.Contains));
}

/// <summary>A store as it is at one moment: images with who needs them, and files that belong to none. Only for who holds its gate.</summary>
internal sealed class StoreContent
{
    private readonly string _folder;

    private StoreContent(string folder) => _folder = folder;

    public required IReadOnlyList<StoredFiles> Images { get; init; }

    /// <summary>Files that somebody needs, whatever image they are of.</summary>
    public required IReadOnlySet<string> Needed { get; init; }

    /// <summary>Layers that no image has, nobody needs, or both.</summary>
    public IEnumerable<FileInfo> Layers => new[] { "stacks", Path.Combine("oci", "layers"), "layers" }
        .Select(name => new DirectoryInfo(Path.Combine(_folder, name)))
        .Where(layers => layers.Exists)
        .SelectMany(layers => layers.EnumerateFiles("*.erofs"));

    public static StoreContent Read(string folder, StackStore stacks, OciStore registryImages, IReadOnlyList<ImageNeed> needs, IReadOnlySet<string> pins)
    {
        var images = new List<StoredFiles>();
        foreach (var (path, record) in stacks.ReadRecords())
            images.Add(Of(ImageKind.Stack, $"{record.Name}@{record.StackVersion}", record.Key, path, [.. stacks.PathsOf(record)], null));
        foreach (var (path, record) in registryImages.ReadRecords())
            images.Add(Of(ImageKind.Oci, record.Reference, record.Digest, path, [.. registryImages.PathsOf(record)], record.Owners));
        foreach (var kernel in Kernels(folder))
            images.Add(Of(ImageKind.Kernel, Path.GetFileName(kernel), "", kernel, [.. Directory.EnumerateFiles(kernel, "*", SearchOption.AllDirectories)], null));
        foreach (var archive in Enumerate(Path.Combine(folder, "initramfs"), "*.cpio"))
            images.Add(Of(ImageKind.Initramfs, Path.GetFileNameWithoutExtension(archive), Path.GetFileNameWithoutExtension(archive), archive, [archive], null));

        foreach (var layer in Enumerate(Path.Combine(folder, "systems"), "*.erofs"))
            images.Add(Of(ImageKind.System, Path.GetFileNameWithoutExtension(layer), "", layer, [layer], null));
        var needed = needs.SelectMany(need => need.Files).ToHashSet(StringComparer.Ordinal);
        var needers = needs.Select(need => (Need: need, Files: need.Files.ToHashSet(StringComparer.Ordinal))).ToList();
        return new StoreContent(folder)
        {
            Images = [.. images.Select(found => found with
            {
                Image = found.Image with
                {
                    NeededBy = [.. needers.Where(needer => Needs(needer.Need, needer.Files, found)).Select(needer => needer.Need.By).Distinct()],
                    Pinned = pins.Any(found.IsCalled),
                },
            })],
            Needed = needed,
        };
    }

    /// <summary>The names of kernels that are in force: whatever a file beside them names.</summary>
    public static HashSet<string> CurrentKernels(string folder) =>
        [.. Enumerate(Path.Combine(folder, "kernel"), "*").Where(path => !Path.GetFileName(path).StartsWith('.') && new FileInfo(path).Length < 4096).Select(path => File.ReadAllText(path).Trim())];

    private static IEnumerable<string> Kernels(string folder)
    {
        var kernels = Path.Combine(folder, "kernel");
        return Directory.Exists(kernels)
            ? Directory.EnumerateDirectories(kernels).Where(path => !Path.GetFileName(path).StartsWith('.')).Order(StringComparer.Ordinal).ToList()
            : [];
    }

    private static StoredFiles Of(ImageKind kind, string reference, string digest, string record, IReadOnlyList<string> files, IReadOnlyList<string>? owners)
    {
        var used = kind == ImageKind.Kernel
            ? files.Select(File.GetLastWriteTimeUtc).DefaultIfEmpty(Directory.GetLastWriteTimeUtc(record)).Max()
            : File.GetLastWriteTimeUtc(record);
        return new StoredFiles(
            new StoredImage(kind, reference, digest, files.Sum(SizeOf), new DateTimeOffset(used, TimeSpan.Zero), false, [], owners), record, files);
    }

    private static bool Needs(ImageNeed need, HashSet<string> files, StoredFiles found) =>
        found.IsUsedBy(files) || (need.Reference is { } reference && found.IsCalled(reference));

    private static long SizeOf(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : 0;

    private static IReadOnlyList<string> Enumerate(string folder, string pattern) =>
        Directory.Exists(folder) ? [.. Directory.EnumerateFiles(folder, pattern).Order(StringComparer.Ordinal)] : [];
}

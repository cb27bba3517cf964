using NanoVms.Commands;

namespace NanoVms.Images.Kernel;

/// <summary>The small guest kernel in the store: built when the operator asks, booted as soon as it is there.</summary>
internal static class SmallKernel
{
    // Names the folder that was complete when it was written here.
    private const string Pointer = "small";
    private const string Work = ".small-";

    /// <summary>The kernel that was built by the recipe of now, or null.</summary>
    /// <param name="home">The store's folder <c>kernel</c>.</param>
    public static GuestKernel? Find(string home)
    {
        var pointer = Path.Combine(home, Pointer);
        if (!File.Exists(pointer))
            return null;
        var name = Path.GetFileName(File.ReadAllText(pointer).Trim());
        var end = "." + SmallKernelRecipe.Current.Key;
        if (!name.EndsWith(end, StringComparison.Ordinal))
            return null;
        var folder = Path.Combine(home, name);
        var kernel = new GuestKernel(Path.Combine(folder, "vmlinux"), name[..^end.Length], Path.Combine(folder, "modules")) { IsSmall = true };
        return File.Exists(kernel.VmlinuxPath) && GuestKernelModules.AreCurrent(kernel.ModulesDirectory) ? kernel : null;
    }

    /// <summary>Builds the kernel from the newest source, also where there is one; the one before it goes.</summary>
    /// <exception cref="ImageException">It could not be built.</exception>
    public static async Task<GuestKernel> BuildAsync(string home, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(home);
        using var taken = await FileLock.AcquireAsync(
            Path.Combine(home, ".small.lock"), () => progress?.Report("Another process builds the small kernel: waiting."), cancellationToken);
        foreach (var leftover in Directory.EnumerateDirectories(home, Work + "*"))
            Directory.Delete(leftover, recursive: true);
        var work = Directory.CreateDirectory(Path.Combine(home, $"{Work}{Guid.NewGuid():N}")).FullName;
        try
        {
            var made = Directory.CreateDirectory(Path.Combine(work, "made")).FullName;
            var recipe = SmallKernelRecipe.Current;
            var release = await new SmallKernelBuilder(recipe, work, progress).BuildAsync(made, cancellationToken);
            await PublishAsync(home, work, made, $"{release}.{recipe.Key}", cancellationToken);
        }
        catch (CommandException failure)
        {
            throw new ImageException($"The small kernel could not be built: {failure.Message}", failure);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }

        return Find(home) ?? throw new ImageException($"The small kernel in {home} vanished while it was built.");
    }

    /// <summary>Machines boot Debian's kernel again. Those that run have what they need in their memory.</summary>
    /// <returns>False when there was none.</returns>
    public static bool Remove(string home)
    {
        var pointer = Path.Combine(home, Pointer);
        if (!File.Exists(pointer))
            return false;
        var folder = Path.Combine(home, Path.GetFileName(File.ReadAllText(pointer).Trim()));
        File.Delete(pointer);
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        return true;
    }

    private static async Task PublishAsync(string home, string work, string made, string name, CancellationToken cancellationToken)
    {
        foreach (var file in Directory.EnumerateFiles(made, "*", SearchOption.AllDirectories))
        {
            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(handle);
        }

        var final = Path.Combine(home, name);
        if (Directory.Exists(final))
            Directory.Move(final, Path.Combine(work, "before"));
        Directory.Move(made, final);
        var aside = Path.Combine(work, Pointer);
        await File.WriteAllTextAsync(aside, name, cancellationToken);
        var pointer = Path.Combine(home, Pointer);
        var before = File.Exists(pointer) ? Path.GetFileName((await File.ReadAllTextAsync(pointer, cancellationToken)).Trim()) : name;
        File.Move(aside, pointer, overwrite: true);
        if (before != name && Directory.Exists(Path.Combine(home, before)))
            Directory.Move(Path.Combine(home, before), Path.Combine(work, "old"));
    }
}

using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Images;

/// <summary>An image store in a folder of its own, with recipes that stand on the computer's own base stack, so that making one takes no time.</summary>
internal sealed class TestStore : IDisposable
{
    private TestStore()
    {
        Store = Open();
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("nanovms-store-").FullName;

    public ManualTime Time { get; } = new();

    public ImageStore Store { get; }

    public string Recipes => Path.Combine(Folder, "recipes");

    public static async Task<TestStore> CreateAsync()
    {
        var store = new TestStore();
        // The layer's name follows from the recipe, so the store takes it for its own.
        var stacks = Directory.CreateDirectory(Path.Combine(store.Store.Folder, "stacks")).FullName;
        var layer = (await new ImageStore().GetStackAsync("base", null, CancellationToken.None)).Layers.Single();
        File.CreateSymbolicLink(Path.Combine(stacks, Path.GetFileName(layer)), layer);
        store.Write("tool", "on: base\nversion: '1'\nfiles: [{ path: /etc/tool, content: one }]\n");
        return store;
    }

    /// <summary>Another one over the same folder, as another process has it.</summary>
    public ImageStore Open() => new(Path.Combine(Folder, "store"), Time, Recipes);

    public void Write(string name, string recipe)
    {
        Directory.CreateDirectory(Recipes);
        var path = Path.Combine(Recipes, name + ".yaml");
        File.WriteAllText(path, recipe);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public Task<StackImage> GetAsync(string reference, ImageLease? use = null) => Store.GetStackAsync(reference, null, CancellationToken.None, use);

    public async Task<IReadOnlyList<string>> CollectAsync(TimeSpan olderThan, bool dryRun = false) =>
        [.. (await Store.CollectAsync(new CollectionOptions { OlderThan = olderThan, DryRun = dryRun }, CancellationToken.None)).Items.Select(item => $"{item.Kind} {item.Name}")];

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

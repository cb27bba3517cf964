using NanoVms.Images;

namespace NanoVms.Tests.Images.Stacks;

public sealed class StackRecipesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetStackAsync_OwnRecipe_IsMadeOfItAndOnTopOfItsBase()
    {
        using var store = await TestStore.CreateAsync();
        store.Write("other", "on: tool@1\nversion: '2.5'\nuser: app\nenvironment: { A: b }\n");
        var tool = await store.GetAsync("tool");
        var other = await store.GetAsync("other@2");

        Assert.Equal(2, tool.Layers.Count);
        Assert.Equal(tool.Layers, other.Layers);
        Assert.Equal(("other", "2.5", "app", "b"), (other.Name, other.Version, other.User, other.Environment["A"]));
        Assert.Equal(["base", "node", "other", "python", "tool"], store.Store.StackNames);
    }

    [Fact]
    public async Task GetStackAsync_ChangedRecipe_MakesANewImageAndKeepsTheOld()
    {
        using var store = await TestStore.CreateAsync();
        var before = await store.GetAsync("tool");
        store.Write("tool", "on: base\nversion: '1'\nfiles: [{ path: /etc/tool, content: two }]\n");
        var after = await store.GetAsync("tool");

        Assert.NotEqual(before.Digest, after.Digest);
        Assert.NotEqual(before.Layers[1], after.Layers[1]);
        Assert.Equal(before.Layers, (await store.GetAsync(before.Reference)).Layers);
        Assert.Equal(2, (await store.Store.ListAsync(Token)).Count(image => image.Reference == "tool@1"));
    }

    [Fact]
    public async Task GetStackAsync_VeryImageIsGone_GivesTodaysAndSaysSo()
    {
        using var store = await TestStore.CreateAsync();
        var lines = new List<string>();
        var image = await store.Store.GetStackAsync("tool@1+0123456789abcdef", new Lines(lines), Token);
        Assert.Equal((await store.GetAsync("tool")).Digest, image.Digest);
        Assert.Contains("The image tool@1+0123456789abcdef is not kept any more; tool@1 of today's recipe stands in its place.", lines);
    }

    [Fact]
    public async Task GetStackAsync_OwnRecipeOfABuiltInName_TakesItsPlace()
    {
        using var store = await TestStore.CreateAsync();
        store.Write("python", "on: base\nversion: '9'\nuser: app\n");
        Assert.Equal("9", (await store.GetAsync("python")).Version);
    }

    [Fact]
    public async Task GetStackAsync_WrongRecipe_FailsAloneAndIsFound()
    {
        using var store = await TestStore.CreateAsync();
        store.Write("bad", "on: base\nversion: x\nfiles: []\n");
        store.Write("open", "on: base\nversion: '1'\nuser: app\n");
        File.SetUnixFileMode(Path.Combine(store.Recipes, "open.yaml"), (UnixFileMode)0x1b6);

        var bad = await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("bad"));
        Assert.StartsWith($"{store.Recipes}/bad.yaml:2: version is 'x'", bad.Message, StringComparison.Ordinal);
        Assert.Contains("chmod go-w", (await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("open"))).Message, StringComparison.Ordinal);
        Assert.Equal(2, store.Store.FindRecipeProblems().Count);
        Assert.NotNull(await store.GetAsync("tool"));
    }

    [Fact]
    public async Task GetStackAsync_StandsOnItself_IsRefused()
    {
        using var store = await TestStore.CreateAsync();
        store.Write("a", "on: b\nversion: '1'\nuser: app\n");
        store.Write("b", "on: a\nversion: '1'\nuser: app\n");
        Assert.Contains("or on itself", (await Assert.ThrowsAsync<ImageException>(() => store.GetAsync("a"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BuildAsync_Recipe_IsKeptOnlyOnceItIsMade()
    {
        using var store = await TestStore.CreateAsync();
        await Assert.ThrowsAsync<ImageException>(() => store.Store.BuildAsync("mine", "mine.yaml", "on: nothing\nversion: '1'\nuser: app\n", null, Token));
        Assert.DoesNotContain("mine", store.Store.StackNames);

        const string Recipe = "on: tool\nversion: '1'\nfiles: [{ path: /x/y, content: z, mode: '0600' }]\n";
        var image = await store.Store.BuildAsync("mine", "mine.yaml", Recipe, null, Token);
        Assert.Equal(3, image.Layers.Count);
        Assert.Equal(Recipe, await File.ReadAllTextAsync(Path.Combine(store.Recipes, "mine.yaml"), Token));
        Assert.Equal(image.Reference, (await store.GetAsync("mine")).Reference);
    }

    private sealed class Lines(List<string> lines) : IProgress<string>
    {
        public void Report(string value) => lines.Add(value);
    }
}

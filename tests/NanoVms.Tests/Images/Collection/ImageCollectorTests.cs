using System.Text.Json;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Machines;
using NanoVms.Snapshots;

namespace NanoVms.Tests.Images.Collection;

public sealed class ImageCollectorTests
{
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CollectAsync_Unneeded_GoesOnceItIsOld()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        Assert.Empty(await store.CollectAsync(Week));
        store.Time.Advance(Week * 2);

        Assert.Equal([$"stack tool@1 ({old.Digest})", $"layer {Path.GetFileName(old.Layers[1])}"], await store.CollectAsync(Week, dryRun: true));
        Assert.True(File.Exists(old.Layers[1]));
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
        Assert.False(File.Exists(old.Layers[1]));
        Assert.True(File.Exists(old.Layers[0]));
        Assert.Empty(await store.CollectAsync(Week));
        // The newest of what a recipe makes stays, so that the next start needs nothing.
        Assert.NotNull((await store.GetAsync("tool")).Layers.Single(layer => layer.Contains("tool", StringComparison.Ordinal)));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(store.Store.Folder, "trash")));
    }

    [Fact]
    public async Task CollectAsync_NeededByAPlatform_Stays()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        var user = new ImageUser { Id = "platform-1", Folder = store.Folder, Needs = [new ImageNeed("deployment 3 of shop", old.Reference, [])] };
        await store.Store.RegisterAsync(user, Token);
        store.Time.Advance(Week * 2);

        Assert.Empty(await store.CollectAsync(Week));
        Assert.Equal(["deployment 3 of shop"], (await ListedAsync(store, old)).NeededBy);
        var refused = await Assert.ThrowsAsync<ImageException>(() => store.Store.RemoveAsync(old.Reference, Token));
        Assert.Equal((ImageFault.InUse, true), (refused.Fault, refused.Message.Contains("is needed by deployment 3 of shop", StringComparison.Ordinal)));

        await store.Store.RegisterAsync(user with { Needs = [] }, Token);
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
    }

    [Fact]
    public async Task CollectAsync_PlatformWhoseFolderIsAway_IsHonouredForAMonth()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        var home = Path.Combine(store.Folder, "platform");
        Snapshot(Path.Combine(home, "snapshots", "team", "one"), old);
        await store.Store.RegisterAsync(new ImageUser { Id = "platform-2", Folder = home, SnapshotFolders = [Path.Combine(home, "snapshots")] }, Token);
        store.Time.Advance(Week * 2);
        Assert.Empty(await store.CollectAsync(Week));

        // A disk that is not mounted looks so too.
        Directory.Move(home, home + "-away");
        store.Time.Advance(Week * 4);
        Assert.Empty(await store.CollectAsync(Week));
        store.Time.Advance(Week);
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
    }

    [Fact]
    public async Task CollectAsync_MachinesAndSnapshotsOfOthers_AreReadWhereTheyLie()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        var machines = Path.Combine(store.Folder, "machines");
        var record = new MachineRecord { Id = "abc", Spec = new MachineSpec { Name = "web", Layers = old.Layers }, Driver = "qemu", Place = 1, Phase = MachinePhase.Running };
        var folder = Directory.CreateDirectory(Path.Combine(machines, "machines", "abc")).FullName;
        // What a host registers by itself when it opens.
        await store.Store.RegisterAsync(ImageUsers.OfMachines(machines, []), Token);
        SafeFile.WriteJson(Path.Combine(folder, MachineRecord.FileName), record, MachineJson.Default.MachineRecord);
        store.Time.Advance(Week * 2);

        Assert.Empty(await store.CollectAsync(Week));
        Assert.Equal(["machine abc (web)"], (await ListedAsync(store, old)).NeededBy);
        SafeFile.WriteJson(Path.Combine(folder, MachineRecord.FileName), record with { Phase = MachinePhase.Ended }, MachineJson.Default.MachineRecord);
        Assert.Equal(2, (await store.CollectAsync(Week, dryRun: true)).Count);

        Snapshot(Path.Combine(store.Folder, "platform", "snapshots", "team", "one"), old);
        await store.Store.RegisterAsync(
            new ImageUser { Id = "platform-3", Folder = store.Folder, SnapshotFolders = [Path.Combine(store.Folder, "platform", "snapshots")] }, Token);
        Assert.Empty(await store.CollectAsync(Week));
        Assert.Equal(["snapshot one (saved)"], (await ListedAsync(store, old)).NeededBy);
    }

    [Fact]
    public async Task CollectAsync_UserThatCannotBeRead_RemovesNothing()
    {
        using var store = await TestStore.CreateAsync();
        _ = await ReplacedAsync(store);
        Directory.CreateDirectory(Path.Combine(store.Store.Folder, "users"));
        await File.WriteAllTextAsync(Path.Combine(store.Store.Folder, "users", "x.json"), "{", Token);
        store.Time.Advance(Week * 2);
        Assert.Contains("x.json cannot be read", (await Assert.ThrowsAsync<ImageException>(() => store.CollectAsync(Week))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CollectAsync_Pinned_StaysUntilItIsUnpinned()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        Assert.Equal([old.Reference], await store.Store.PinAsync(old.Reference, Token));
        store.Time.Advance(Week * 2);

        Assert.Empty(await store.CollectAsync(Week));
        Assert.True((await ListedAsync(store, old)).Pinned);
        Assert.Contains("is pinned", (await Assert.ThrowsAsync<ImageException>(() => store.Store.RemoveAsync(old.Reference, Token))).Message, StringComparison.Ordinal);
        Assert.Equal(ImageFault.NotFound, (await Assert.ThrowsAsync<ImageException>(() => store.Store.PinAsync("tool@9", Token))).Fault);
        Assert.Equal(ImageFault.NotFound, (await Assert.ThrowsAsync<ImageException>(() => store.Store.UnpinAsync("node@1", Token))).Fault);
        await store.Open().UnpinAsync(old.Reference, Token);
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
    }

    [Fact]
    public async Task CollectAsync_InUse_StaysUntilTheUseEnds()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        var use = store.Open().BeginUse();
        _ = await store.GetAsync(old.Reference, use);
        store.Time.Advance(Week * 2);

        Assert.Empty(await store.CollectAsync(Week));
        Assert.Contains("starts just now", (await Assert.ThrowsAsync<ImageException>(() => store.Store.RemoveAsync(old.Reference, Token))).Message, StringComparison.Ordinal);
        use.Dispose();
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(store.Store.Folder, "leases")));
    }

    [Fact]
    public async Task CollectAsync_LeftByTheDead_IsCleared()
    {
        using var store = await TestStore.CreateAsync();
        var old = await ReplacedAsync(store);
        // A use whose process died, a build and a pull that died, with credentials, and a removal that died between its steps.
        var root = store.Store.Folder;
        Directory.CreateDirectory(Path.Combine(root, "leases"));
        await File.WriteAllTextAsync(Path.Combine(root, "leases", "dead"), old.Layers[1] + "\n", Token);
        var pull = Directory.CreateDirectory(Path.Combine(root, "oci", "aside", "key")).FullName;
        await File.WriteAllTextAsync(Path.Combine(pull, "auth.json"), "secret", Token);
        Directory.CreateDirectory(Path.Combine(root, "stacks", "aside", "tool-1-dead", "root"));
        Directory.CreateDirectory(Path.Combine(root, "trash", "folder"));
        store.Time.Advance(Week * 2);

        Assert.Equal(["unfinished tool-1-dead", "unfinished key"], (await store.CollectAsync(Week, dryRun: true)).Skip(2));
        Assert.True(Directory.Exists(pull));
        await store.Store.RepairAsync(Token);
        Assert.False(Directory.Exists(pull));
        Assert.Equal(2, (await store.CollectAsync(Week)).Count);
        Assert.False(Directory.Exists(Path.Combine(root, "trash", "folder")));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(root, "leases")));
    }

    [Fact]
    public async Task CollectAsync_UnderWork_IsLeftAlone()
    {
        using var store = await TestStore.CreateAsync();
        _ = await store.GetAsync("base");
        var aside = Directory.CreateDirectory(Path.Combine(store.Store.Folder, "stacks", "aside", "tool-1-busy")).FullName;
        using (await FileLock.AcquireAsync(aside + ".lock", null, Token))
            Assert.Empty(await store.CollectAsync(Week));
        Assert.Equal(["unfinished tool-1-busy"], await store.CollectAsync(Week));
    }

    [Fact]
    public async Task CollectAsync_KernelsInitramfsAndSystems_OnlyOldOnesGo()
    {
        using var store = await TestStore.CreateAsync();
        _ = await store.GetAsync("base");
        var kernel = Directory.CreateDirectory(Path.Combine(store.Store.Folder, "kernel")).FullName;
        foreach (var release in (string[])["6.1.0-1", "6.1.0-2", "own-1"])
        {
            Directory.CreateDirectory(Path.Combine(kernel, release));
            Old(store, Path.Combine(kernel, release, "vmlinux"));
        }

        await File.WriteAllTextAsync(Path.Combine(kernel, "current"), "6.1.0-2\n", Token);
        await File.WriteAllTextAsync(Path.Combine(kernel, "chosen"), "own-1", Token);
        var archives = Directory.CreateDirectory(Path.Combine(store.Store.Folder, "initramfs")).FullName;
        foreach (var name in (string[])["a", "b"])
            Old(store, Path.Combine(archives, name + ".cpio"));
        Old(store, Path.Combine(Directory.CreateDirectory(Path.Combine(store.Store.Folder, "systems")).FullName, "alpine-1.erofs"));
        await store.Store.RegisterAsync(ImageUsers.OfMachines(store.Folder, [Path.Combine(archives, "b.cpio")]), Token);

        Assert.Equal(["kernel 6.1.0-1", "initramfs a", "system alpine-1"], await store.CollectAsync(Week));
        Assert.True(File.Exists(Path.Combine(archives, "b.cpio")));
    }

    [Fact]
    public async Task RemoveAsync_Free_GoesAtOnceWithoutWhatOthersHave()
    {
        using var store = await TestStore.CreateAsync();
        store.Write("other", "on: tool\nversion: '1'\nfiles: [{ path: /etc/other, content: x }]\n");
        var tool = await store.GetAsync("tool");
        var other = await store.GetAsync("other");
        // Whoever uses what it stands on uses another image.
        using var use = store.Open().BeginUse();
        _ = await store.GetAsync("tool", use);

        var removed = await store.Store.RemoveAsync("other", Token);
        Assert.Equal(["stack", "layer"], removed.Items.Select(item => item.Kind));
        Assert.True(removed.Bytes > 0);
        Assert.False(File.Exists(other.Layers[^1]));
        Assert.All(tool.Layers, layer => Assert.True(File.Exists(layer)));
        Assert.Equal(ImageFault.NotFound, (await Assert.ThrowsAsync<ImageException>(() => store.Store.RemoveAsync("other", Token))).Fault);
    }

    [Fact]
    public async Task CollectAsync_BesideUsers_NeverTakesWhatTheyWereGiven()
    {
        using var store = await TestStore.CreateAsync();
        for (var i = 0; i < 8; i++)
            store.Write($"s{i}", $"on: base\nversion: '1'\nfiles: [{{ path: /etc/s, content: '{i}' }}]\n");
        // An image of its own, so that its layer stays and need not be made of packages.
        _ = await store.GetAsync("base");
        using var ended = new CancellationTokenSource();
        var collected = 0;
        var collecting = Task.Run(
            async () =>
            {
                var other = store.Open();
                while (!ended.IsCancellationRequested)
                {
                    // Pauses, else users would hardly come to their turn.
                    await Task.Delay(5, CancellationToken.None);
                    // A removal asks for no age: only uses stand in its way.
                    foreach (var image in (await other.ListAsync(Token)).Where(image => image.Reference.StartsWith('s')))
                    {
                        try
                        {
                            await other.RemoveAsync(image.Reference, Token);
                            collected++;
                        }
                        catch (ImageException)
                        {
                            // In use, or gone already.
                        }
                    }
                }
            },
            Token);
        await Parallel.ForAsync(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Token }, async (i, _) =>
        {
            using var use = store.Store.BeginUse();
            var image = await UseAsync(store, $"s{i % 8}", use);
            await Task.Delay(i % 3, Token);
            Assert.All(image.Layers, layer => Assert.True(File.Exists(layer), layer));
        });
        await ended.CancelAsync();
        await collecting;
        Assert.True(collected > 0);
    }

    /// <summary>What is removed between being made and being given is made again by whoever asks again.</summary>
    private static async Task<StackImage> UseAsync(TestStore store, string reference, ImageLease use)
    {
        while (true)
        {
            try
            {
                return await store.GetAsync(reference, use);
            }
            catch (ImageException e) when (e.IsTransient)
            {
                // Asked again.
            }
        }
    }

    /// <summary>An image whose recipe has changed since.</summary>
    private static async Task<StackImage> ReplacedAsync(TestStore store)
    {
        var old = await store.GetAsync("tool");
        store.Write("tool", "on: base\nversion: '1'\nfiles: [{ path: /etc/tool, content: two }]\n");
        store.Time.Advance(TimeSpan.FromSeconds(1));
        _ = await store.GetAsync("tool");
        return old;
    }

    private static async Task<StoredImage> ListedAsync(TestStore store, StackImage image) =>
        (await store.Store.ListAsync(Token)).Single(found => found.Digest == image.Digest);

    private static void Snapshot(string folder, StackImage image)
    {
        Directory.CreateDirectory(folder);
        var manifest = new SnapshotManifest
        {
            CreatedAt = DateTimeOffset.UnixEpoch,
            Spec = new MachineSpec { Name = "saved", Layers = image.Layers },
            Driver = "qemu",
            Accelerated = false,
            HasMain = true,
        };
        File.WriteAllBytes(Path.Combine(folder, SnapshotManifest.FileName), JsonSerializer.SerializeToUtf8Bytes(manifest, SnapshotJson.Default.SnapshotManifest));
    }

    private static void Old(TestStore store, string path)
    {
        File.WriteAllText(path, "x");
        File.SetLastWriteTimeUtc(path, (store.Time.GetUtcNow() - (Week * 2)).UtcDateTime);
    }
}

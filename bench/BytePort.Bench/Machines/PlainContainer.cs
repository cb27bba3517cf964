using System.Diagnostics;
using System.Text.Json.Nodes;
using NanoVms.Commands;

namespace BytePort.Bench.Machines;

/// <summary>The peer: crun by hand, with the configuration that it proposes itself, on a root that is mounted already; without network and limits.</summary>
internal sealed class PlainContainer : IAsyncDisposable
{
    private const string Hybrid = "/sys/fs/cgroup/unified";
    private const string Name = "byteport-bench-plain";
    private readonly string _folder;
    private readonly List<string> _mounts = [];
    private string? _space;

    private PlainContainer(string folder) => _folder = folder;

    /// <param name="layers">EROFS images, lowest first.</param>
    public static async Task<PlainContainer> PrepareAsync(IReadOnlyList<string> layers)
    {
        var plain = new PlainContainer(Directory.CreateTempSubdirectory("byteport-crun-").FullName);
        try
        {
            var lower = new List<string>();
            for (var i = 0; i < layers.Count; i++)
            {
                lower.Insert(0, plain.Place($"layer{i}"));
                await plain.MountAsync(lower[0], "-t", "erofs", "-o", "loop,ro", layers[i]);
            }

            await plain.MountAsync(plain.Place("root"), "-t", "overlay", "-o", $"lowerdir={string.Join(':', lower)},upperdir={plain.Place("upper")},workdir={plain.Place("work")}", "overlay");
            _ = await CommandRunner.RunCheckedAsync(new Command("crun", "spec") { WorkingDirectory = plain._folder }, CancellationToken.None);
            var path = Path.Combine(plain._folder, "config.json");
            var config = JsonNode.Parse(await File.ReadAllTextAsync(path))!;
            config["process"]!["terminal"] = false;
            config["process"]!["args"] = new JsonArray("/bin/true");
            config["root"] = new JsonObject { ["path"] = Path.Combine(plain._folder, "root") };
            await File.WriteAllTextAsync(path, config.ToJsonString());
            if (File.Exists(Hybrid + "/cgroup.procs"))
                await plain.HideHybridAsync();
            return plain;
        }
        catch
        {
            await plain.DisposeAsync();
            throw;
        }
    }

    /// <summary>From the order to the end of <c>true</c>, with all that crun cleans up.</summary>
    public async Task<TimeSpan> RunAsync()
    {
        var run = new Command("crun", "--root", Path.Combine(_folder, "state"), "--cgroup-manager=cgroupfs", "run", "--bundle", _folder, Name);
        var command = _space is null ? run : new Command("nsenter", [$"--mount={_space}", "--", run.Program, .. run.Arguments]);
        var clock = Stopwatch.StartNew();
        _ = await CommandRunner.RunCheckedAsync(command, CancellationToken.None);
        return clock.Elapsed;
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _mounts.Count - 1; i >= 0; i--)
            _ = await CommandRunner.RunAsync(new Command("umount", _mounts[i]), CancellationToken.None);
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>crun refuses version 2 of control groups beside version 1, so it gets mounts without it.</summary>
    private async Task HideHybridAsync()
    {
        var spaces = Place("spaces");
        await MountAsync(spaces, "-t", "tmpfs", "tmpfs");
        await RunAsync("mount", "--make-private", spaces);
        _space = Path.Combine(spaces, "mounts");
        await File.WriteAllBytesAsync(_space, []);
        await RunAsync("unshare", $"--mount={_space}", "--", "umount", Hybrid);
        _mounts.Add(_space);
    }

    private static Task RunAsync(string program, params string[] arguments) =>
        CommandRunner.RunCheckedAsync(new Command(program, arguments), CancellationToken.None);

    private string Place(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

    private async Task MountAsync(string place, params string[] arguments)
    {
        _ = await CommandRunner.RunCheckedAsync(new Command("mount", [.. arguments, place]), CancellationToken.None);
        _mounts.Add(place);
    }
}

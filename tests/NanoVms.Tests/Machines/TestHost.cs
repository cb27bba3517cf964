using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Commands;
using NanoVms.Drivers.Container;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Tests.Machines;

/// <summary>A machine host with a folder and a bridge of its own, beside whatever else runs on the computer.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    private TestHost(string folder, string bridge, string? agentPath = null, string prefix = "10.202.0.0/20") => Options = new MachineHostOptions
    {
        Folder = folder,
        Boot = _ => TestBoot.Files,
        AgentPath = agentPath,
        Network = new NetworkOptions { BridgeName = bridge, Prefix = prefix },
    };

    public MachineHostOptions Options { get; }

    public MachineHost Host { get; private set; } = null!;

    public string HostId => GuestBridge.IdOf(Options.Network.BridgeName);

    public static TestHost Of(string folder, string bridge, string? agentPath = null) => new(folder, bridge, agentPath);

    /// <param name="agentPath">For containers.</param>
    public static async Task<TestHost> OpenAsync(string? agentPath = null, string prefix = "10.202.0.0/20")
    {
        var folder = Path.Combine(Path.GetTempPath(), $"nanovms-host-{Guid.NewGuid():N}");
        var host = new TestHost(folder, $"nvh{Random.Shared.Next(0x10000):x4}", agentPath, prefix);
        await host.ReopenAsync();
        return host;
    }

    /// <summary>Another host object over the same folder, as after a restart.</summary>
    public async Task ReopenAsync()
    {
        if (Host is not null)
            await Host.DisposeAsync();
        Host = await MachineHost.OpenAsync(Options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
    }

    public async Task<Machine> StartAsync(string? script, Func<MachineSpec, MachineSpec>? change = null, CancellationToken cancellationToken = default)
    {
        var spec = new MachineSpec { Name = "test", MemoryMiB = 96, DiskBytes = 1L << 30, Layers = [await TestBoot.Layer] };
        return await Host.StartAsync(change?.Invoke(spec) ?? spec, script is null ? null : Shell(script), cancellationToken);
    }

    public static ProcessSpec Shell(string script) => new() { Command = ["/bin/sh", "-c", script] };

    public static async Task<(ProcessExit Exit, string Output)> RunAsync(Machine machine, string script)
    {
        var output = new StringBuilder();
        var exit = await machine.RunAsync(Shell(script), chunk => output.Append(Encoding.UTF8.GetString(chunk.Data.Span)), CancellationToken.None);
        return (exit, output.ToString().Trim());
    }

    /// <summary>
    /// Everything outside of this process that belongs to machines of this host; empty as soon as there is nothing. The kernel takes down
    /// the mounts of a namespace, and the devices beneath them, only after its last process has gone.
    /// </summary>
    public async Task<IReadOnlyList<string>> LeftoversAsync()
    {
        for (var tries = 0; ; tries++)
        {
            var left = await FindLeftoversAsync();
            if (left.Count == 0 || tries == 80)
                return left;
            await Task.Delay(100);
        }
    }

    private async Task<IReadOnlyList<string>> FindLeftoversAsync()
    {
        var left = new List<string>();
        left.AddRange(Directory.EnumerateDirectories(Path.Combine(Options.Folder, "machines")));
        left.AddRange(Directory.EnumerateDirectories("/sys/class/net").Where(path => Path.GetFileName(path).StartsWith($"bp{HostId}-", StringComparison.Ordinal)));
        left.AddRange(Processes());
        foreach (var root in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
        {
            var groups = Path.Combine(root, "byteport", HostId);
            if (Directory.Exists(groups))
                left.AddRange(Directory.EnumerateDirectories(groups));
        }

        left.AddRange(LoopDevices());
        left.AddRange((await File.ReadAllLinesAsync("/proc/self/mountinfo")).Where(line => line.Contains(Options.Folder, StringComparison.Ordinal)));
        var rules = await CommandRunner.RunCheckedAsync(new Command("nft", "list", "set", "bridge", $"byteport_{HostId}", "guests"), CancellationToken.None);
        left.AddRange(rules.StandardOutput.Split('\n').Where(line => line.Contains($"\"bp{HostId}-", StringComparison.Ordinal)));
        return left;
    }

    public IEnumerable<string> Processes() => Directory.EnumerateDirectories("/proc")
        .Where(path => int.TryParse(Path.GetFileName(path), out _) && ReadOrEmpty(path + "/cmdline") is var arguments
            && (arguments.Contains($"guest={HostId}.", StringComparison.Ordinal) || arguments.Contains($"nanovms-{HostId}-", StringComparison.Ordinal)));

    public async ValueTask DisposeAsync()
    {
        if (Host is not null)
            await Host.DisposeAsync();
        await MachineHost.DestroyAsync(Options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
    }

    /// <summary>Devices of this host's files; and those of layers, which all hosts of the computer share, unless another host has machines.</summary>
    private IEnumerable<string> LoopDevices()
    {
        var files = Directory.EnumerateDirectories("/sys/block", "loop*").Select(path => ReadOrEmpty(path + "/loop/backing_file")).ToList();
        var own = files.Where(file => file.Contains(Options.Folder, StringComparison.Ordinal));
        var labels = LoopDevice.Labels();
        return own.Concat(labels.All(label => label == "nanovms-layer") ? labels : []);
    }

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}

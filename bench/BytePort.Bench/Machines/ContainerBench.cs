using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Bench.Machines;

/// <summary>Containers against crun by hand on the same root, in turns, and many at once.</summary>
internal static class ContainerBench
{
    private const int Many = 50;

    /// <param name="agentPath">The containers' agent.</param>
    public static async Task<int> RunAsync(string agentPath, int rounds)
    {
        var node = await new ImageStore().GetStackAsync("node@22", null, CancellationToken.None);
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(Path.GetTempPath(), $"byteport-bench-{Guid.NewGuid():N}"),
            Boot = _ => throw new InvalidOperationException("Containers boot nothing."),
            AgentPath = agentPath,
            Network = new NetworkOptions { BridgeName = "byteportbenchc", Prefix = "10.204.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            await RunAsync(host, new MachineSpec { Name = "bench", MemoryMiB = 128, Layers = node.Layers }, MachineBench.NodeServer(node), rounds);
            return 0;
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }
    }

    private static async Task RunAsync(MachineHost host, MachineSpec spec, ProcessSpec main, int rounds)
    {
        var driver = (await host.GetDriversAsync(CancellationToken.None)).Single(d => d.Name == "container");
        if (!driver.Usable)
        {
            Console.WriteLine($"\nNo containers here: {driver.Reason}");
            return;
        }

        spec = spec with { Driver = driver.Name };
        await using var plain = await PlainContainer.PrepareAsync(spec.Layers);
        List<TimeSpan> agents = [], mains = [], stops = [], peers = [];
        for (var i = 0; i <= rounds; i++)
        {
            var machine = await host.StartAsync(spec, main, CancellationToken.None);
            var clock = Stopwatch.StartNew();
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
            var (stop, peer) = (clock.Elapsed, await plain.RunAsync());
            // The first has everything to load.
            if (i == 0)
                continue;
            agents.Add(machine.Timings.AgentReady);
            mains.Add(machine.Timings.MainStarted);
            stops.Add(stop);
            peers.Add(peer);
        }

        var all = Stopwatch.StartNew();
        var machines = await Task.WhenAll(Enumerable.Range(0, Many).Select(_ => host.StartAsync(spec, main, CancellationToken.None)));
        var started = all.Elapsed;
        all.Restart();
        await Task.WhenAll(machines.Select(machine => machine.StopAsync(TimeSpan.Zero, CancellationToken.None)));

        var reference = Median(peers);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n| Container with the Node stack, median of {rounds} | Time | Against crun |\n|---|---|---|"));
        Row("plain crun run of `true`: root mounted already, no network, no limits, no user namespace", reference, reference);
        Row("**our container to agent ready**, disk, mounts, cable and rules included", Median(agents), reference);
        Row("our container to main process", Median(mains), reference);
        Row("our container stopped and everything removed", Median(stops), reference);
        Row($"{Many} of our containers started at once, all of them", started, reference);
        Row($"{Many} of our containers stopped at once, all of them", all.Elapsed, reference);
    }

    private static TimeSpan Median(List<TimeSpan> times) => times.Order().ElementAt(times.Count / 2);

    private static void Row(string name, TimeSpan time, TimeSpan reference) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {time.TotalMilliseconds:0} ms | {time / reference:0.0} × |"));
}

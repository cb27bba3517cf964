using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Bench.Machines;

/// <summary>A machine with a Node server: saved, restored, and restored many times, beside its own cold boot.</summary>
internal static class SnapshotBench
{
    private const int MemoryMiB = 256;
    private const int Clones = 10;

    /// <param name="agentPath">The guest's agent.</param>
    public static async Task<int> RunAsync(string agentPath, int rounds)
    {
        var store = new ImageStore();
        var node = await store.GetStackAsync("node@22", null, CancellationToken.None);
        var folder = Directory.CreateTempSubdirectory("byteport-snapshots-").FullName;
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(folder, "host"),
            Boot = token => store.GetBootAsync(agentPath, null, token),
            Network = new NetworkOptions { BridgeName = "byteportbench", Prefix = "10.203.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            await RunAsync(host, folder, new MachineSpec { Name = "bench", MemoryMiB = MemoryMiB, Layers = node.Layers }, MachineBench.NodeServer(node), rounds);
            return 0;
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task RunAsync(MachineHost host, string folder, MachineSpec spec, ProcessSpec main, int rounds)
    {
        List<TimeSpan> cold = [], saved = [], restored = [], agents = [], answered = [];
        for (var round = 0; round < rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            var machine = await host.StartAsync(spec, main, CancellationToken.None);
            await MachineBench.AwaitAnswerAsync(machine);
            cold.Add(clock.Elapsed);

            var snapshot = Path.Combine(folder, round.ToString(CultureInfo.InvariantCulture));
            clock.Restart();
            _ = await machine.SnapshotAsync(snapshot, CancellationToken.None);
            saved.Add(clock.Elapsed);
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);

            clock.Restart();
            machine = await host.RestoreAsync(snapshot, null, CancellationToken.None);
            restored.Add(clock.Elapsed);
            agents.Add(machine.Timings.AgentReady);
            await MachineBench.AwaitAnswerAsync(machine);
            answered.Add(clock.Elapsed);
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        }

        var last = Path.Combine(folder, (rounds - 1).ToString(CultureInfo.InvariantCulture));
        List<TimeSpan> cloned = [];
        for (var round = 0; round < rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            var clones = await Task.WhenAll(Enumerable.Range(0, Clones).Select(_ => host.RestoreAsync(last, null, CancellationToken.None)));
            cloned.Add(clock.Elapsed);
            await Task.WhenAll(clones.Select(clone => clone.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n| Node server, {MemoryMiB} MiB, snapshot of {Size(last) / 1e6:0} MB | Median | Against its cold boot |"));
        Console.WriteLine("|---|---:|---:|");
        Row("cold boot to first HTTP answer", Median(cold), cold);
        Row("snapshot saved and synced, machine running again", Median(saved), cold);
        Row("restore to answering agent", Median(agents), cold);
        Row("restore to running, with its own address, clock and randomness", Median(restored), cold);
        Row("restore to first HTTP answer", Median(answered), cold);
        Row($"{Clones} clones of one snapshot, all running", Median(cloned), cold);
    }

    private static long Size(string folder) => new DirectoryInfo(folder).EnumerateFiles().Sum(Blocks);

    /// <summary>Bytes on the disk: the files are sparse.</summary>
    private static long Blocks(FileInfo file)
    {
        using var stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%b", file.FullName]) { RedirectStandardOutput = true })!;
        var blocks = long.Parse(stat.StandardOutput.ReadToEnd(), CultureInfo.InvariantCulture);
        stat.WaitForExit();
        return blocks * 512;
    }

    private static TimeSpan Median(List<TimeSpan> times) => times.Order().ElementAt(times.Count / 2);

    private static void Row(string name, TimeSpan time, List<TimeSpan> cold) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture, $"| {name} | {time.TotalMilliseconds:0} ms | {time / Median(cold):0.00} × |"));
}

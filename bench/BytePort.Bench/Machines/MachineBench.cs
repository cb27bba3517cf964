using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Bench.Machines;

/// <summary>Boot of a machine against a plain q35 of the same kernel and initramfs, in turns, and what an idle machine weighs.</summary>
internal static class MachineBench
{
    private const int MemoryMiB = 128;
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(10);

    /// <param name="agentPath">The guest's agent.</param>
    public static async Task<int> RunAsync(string agentPath, int rounds)
    {
        var store = new ImageStore();
        var kernel = await store.GetKernelAsync(null, CancellationToken.None);
        var boot = new BootFiles(kernel.VmlinuxPath, await store.GetInitramfsAsync(agentPath, null, CancellationToken.None));
        var node = await store.GetStackAsync("node@22", null, CancellationToken.None);
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(Path.GetTempPath(), $"byteport-bench-{Guid.NewGuid():N}"),
            Boot = _ => Task.FromResult(boot),
            Network = new NetworkOptions { BridgeName = "byteportbench", Prefix = "10.203.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            var driver = (await host.GetDriversAsync(CancellationToken.None))[0];
            using var plain = await PlainBoot.PrepareAsync(kernel, boot.InitramfsPath, MemoryMiB);
            var bare = new MachineSpec { Name = "bench", MemoryMiB = MemoryMiB };
            var web = bare with { Layers = node.Layers };
            _ = await TimeAsync(host, bare);
            List<TimeSpan> ours = [], distribution = [], direct = [], mains = [], answers = [];
            for (var i = 0; i < rounds; i++)
            {
                ours.Add((await TimeAsync(host, bare)).AgentReady);
                distribution.Add(await plain.RunAsync(direct: false));
                direct.Add(await plain.RunAsync(direct: true));
                var (main, answer) = await TimeWebAsync(host, web, node);
                mains.Add(main);
                answers.Add(answer);
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{driver.Reason} Median of {rounds}, {MemoryMiB} MiB, kernel {kernel.Release}.\n"));
            Console.WriteLine("| Machine | Median | Against a plain q35 |");
            Console.WriteLine("|---|---|---|");
            var reference = Median(distribution);
            Row("plain q35 of the distribution's bzImage to agent ready (by the same accelerator)", reference, reference);
            Row("q35 of our uncompressed kernel and command line to agent ready", Median(direct), reference);
            Row("**our microVM to agent ready**, disk, tap and rules included", Median(ours), reference);
            Row("our microVM with the Node stack to main process", Median(mains), reference);
            Row("our microVM with the Node stack to first HTTP answer", Median(answers), reference);
            Console.WriteLine();
            Console.WriteLine("| Idle machine of 128 MiB | PSS of its hypervisor |");
            Console.WriteLine("|---|---|");
            var (agentOnly, withNode) = (await WeighAsync(host, bare, null), await WeighAsync(host, web, NodeServer(node)));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| agent only | {agentOnly:0} MB |"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| Node HTTP server | {withNode:0} MB |"));
            return 0;
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }
    }

    private static ProcessSpec NodeServer(StackImage node) => new()
    {
        Command = ["node", "-e", "require('http').createServer((q, r) => r.end('ok')).listen(8080)"],
        Environment = node.Environment,
    };

    private static async Task<MachineTimings> TimeAsync(MachineHost host, MachineSpec spec)
    {
        var machine = await host.StartAsync(spec, null, CancellationToken.None);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        return machine.Timings;
    }

    private static async Task<(TimeSpan Main, TimeSpan Answer)> TimeWebAsync(MachineHost host, MachineSpec spec, StackImage node)
    {
        var clock = Stopwatch.StartNew();
        var machine = await host.StartAsync(spec, NodeServer(node), CancellationToken.None);
        await AwaitAnswerAsync(machine);
        var answer = clock.Elapsed;
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        return (machine.Timings.MainStarted, answer);
    }

    private static async Task AwaitAnswerAsync(Machine machine)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        var address = new Uri($"http://{machine.Address}:8080/");
        while (!machine.Exited.IsCompleted)
        {
            try
            {
                _ = await client.GetStringAsync(address);
                return;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                await Task.Delay(10);
            }
        }

        throw new InvalidOperationException($"The machine ended: {(await machine.Exited).Reason}");
    }

    private static async Task<double> WeighAsync(MachineHost host, MachineSpec spec, ProcessSpec? main)
    {
        var machine = await host.StartAsync(spec, main, CancellationToken.None);
        if (main is not null)
            await AwaitAnswerAsync(machine);
        await Task.Delay(Settle);
        var process = Directory.EnumerateDirectories("/proc")
            .First(path => int.TryParse(Path.GetFileName(path), out _) && ReadOrEmpty(path + "/cmdline").Contains($".{machine.Id},process=", StringComparison.Ordinal));
        var pss = ReadOrEmpty(process + "/smaps_rollup").Split('\n').First(line => line.StartsWith("Pss:", StringComparison.Ordinal));
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        return double.Parse(pss.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1_000_000;
    }

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static TimeSpan Median(List<TimeSpan> times) => times.Order().ElementAt(times.Count / 2);

    private static void Row(string name, TimeSpan time, TimeSpan reference) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {time.TotalSeconds:0.00} s | {time / reference:0.00} × |"));
}

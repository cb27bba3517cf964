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
    private const int Together = 3;
    private static readonly TimeSpan Burst = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(15);

    /// <param name="agentPath">The guest's agent.</param>
    public static async Task<int> RunAsync(string agentPath, int rounds)
    {
        var store = new ImageStore();
        var kernel = await store.GetDistributionKernelAsync(null, CancellationToken.None);
        var boot = new BootFiles(kernel.VmlinuxPath, await GuestInitramfs.PrepareAsync(store.Folder, kernel, agentPath, null, CancellationToken.None));
        var small = store.FindSmallKernel() is null ? null : await store.GetBootAsync(agentPath, null, CancellationToken.None);
        var next = boot;
        var node = await store.GetStackAsync("node@22", null, CancellationToken.None);
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(Path.GetTempPath(), $"byteport-bench-{Guid.NewGuid():N}"),
            Boot = _ => Task.FromResult(next),
            Network = new NetworkOptions { BridgeName = "byteportbench", Prefix = "10.203.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            var driver = (await host.GetDriversAsync(CancellationToken.None))[0];
            using var plain = await PlainBoot.PrepareAsync(kernel, boot.InitramfsPath, MemoryMiB);
            var bare = new MachineSpec { Name = "bench", MemoryMiB = MemoryMiB, BootBurst = Burst };
            var web = bare with { Layers = node.Layers };
            _ = await TimeAsync(host, bare);
            List<Boot> ours = [], smalls = [], distribution = [], direct = [], mains = [], answers = [];
            for (var i = 0; i < rounds; i++)
            {
                ours.Add(await TimeAsync(host, bare));
                if (small is not null)
                {
                    next = small;
                    smalls.Add(await TimeAsync(host, bare));
                    next = boot;
                }

                distribution.Add(await plain.RunAsync(direct: false));
                direct.Add(await plain.RunAsync(direct: true));
                var (main, answer) = await TimeWebAsync(host, web, node);
                mains.Add(main);
                answers.Add(answer);
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{driver.Reason} Median of {rounds}, {MemoryMiB} MiB, kernel {kernel.Release}.\n"));
            Console.WriteLine("| Machine | Time | Against q35 | Processor time | Against q35 |");
            Console.WriteLine("|---|---|---|---|---|");
            var reference = Median(distribution);
            Row("plain q35, the distribution's bzImage, emulated, to agent ready", reference, reference);
            Row("q35, our uncompressed kernel and command line, emulated, to agent ready", Median(direct), reference);
            Row("**our microVM to agent ready**, disk, tap and rules included", Median(ours), reference);
            if (smalls.Count > 0)
                Row("**our microVM with the small kernel to agent ready**", Median(smalls), reference);
            else
                Console.WriteLine("| our microVM with the small kernel: not built here (`byteport image build kernel`) | | | | |");
            Row("our microVM with the Node stack to main process", Median(mains), reference);
            Row("our microVM with the Node stack to first HTTP answer", Median(answers), reference);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n| Idle machine of {MemoryMiB} MiB | PSS of its hypervisor | Processor |"));
            Console.WriteLine("|---|---|---|");
            foreach (var (kernelName, files) in new[] { ("small kernel", small), ("Debian's kernel", boot) })
            {
                if (files is null)
                    continue;
                next = files;
                Weigh($"{kernelName}, agent only, each of {Together}", await WeighAsync(host, bare, null, Together));
                Weigh($"{kernelName}, Node HTTP server, the only one", await WeighAsync(host, web, NodeServer(node), 1));
                Weigh($"{kernelName}, Node HTTP server, each of {Together}", await WeighAsync(host, web, NodeServer(node), Together));
            }

            return 0;
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }
    }

    internal static ProcessSpec NodeServer(StackImage node) => new()
    {
        Command = ["node", "-e", "require('http').createServer((q, r) => r.end('ok')).listen(8080)"],
        Environment = node.Environment,
    };

    private static async Task<Boot> TimeAsync(MachineHost host, MachineSpec spec)
    {
        var machine = await host.StartAsync(spec, null, CancellationToken.None);
        var boot = new Boot(machine.Timings.AgentReady, Hypervisor.Of(machine).ProcessorTime);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        return boot;
    }

    private static async Task<(Boot Main, Boot Answer)> TimeWebAsync(MachineHost host, MachineSpec spec, StackImage node)
    {
        var clock = Stopwatch.StartNew();
        var machine = await host.StartAsync(spec, NodeServer(node), CancellationToken.None);
        var hypervisor = Hypervisor.Of(machine);
        var main = new Boot(machine.Timings.MainStarted, hypervisor.ProcessorTime);
        await AwaitAnswerAsync(machine);
        var answer = new Boot(clock.Elapsed, hypervisor.ProcessorTime);
        await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        return (main, answer);
    }

    public static async Task AwaitAnswerAsync(Machine machine)
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

    /// <summary>Several at once, as they are in use: pages of kernel and program that they share count once for all.</summary>
    private static async Task<(double Megabytes, double Percent)> WeighAsync(MachineHost host, MachineSpec spec, ProcessSpec? main, int count)
    {
        var machines = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => host.StartAsync(spec, main, CancellationToken.None)));
        if (main is not null)
            await Task.WhenAll(machines.Select(AwaitAnswerAsync));
        await Task.Delay(Settle);
        var hypervisors = machines.Select(Hypervisor.Of).ToList();
        var clock = Stopwatch.StartNew();
        var before = hypervisors.Select(h => h.ProcessorTime.TotalSeconds).Sum();
        await Task.Delay(Settle);
        var percent = 100 * (hypervisors.Select(h => h.ProcessorTime.TotalSeconds).Sum() - before) / clock.Elapsed.TotalSeconds / count;
        var weight = hypervisors.Average(h => h.Megabytes);
        await Task.WhenAll(machines.Select(machine => machine.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        return (weight, percent);
    }

    private static void Weigh(string name, (double Megabytes, double Percent) weight) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {weight.Megabytes:0} MB | {weight.Percent:0.0} % |"));

    private static Boot Median(List<Boot> boots) =>
        new(boots.Select(b => b.Time).Order().ElementAt(boots.Count / 2), boots.Select(b => b.Processor).Order().ElementAt(boots.Count / 2));

    private static void Row(string name, Boot boot, Boot reference) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"| {name} | {boot.Time.TotalSeconds:0.00} s | {boot.Time / reference.Time:0.00} × | {boot.Processor.TotalSeconds:0.00} s | {boot.Processor / reference.Processor:0.00} × |"));
}

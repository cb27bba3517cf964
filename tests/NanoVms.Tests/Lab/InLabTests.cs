using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Drivers.Qemu;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Lab;

/// <summary>Run by <see cref="KvmLabTests"/> in its machine, where KVM works; explicit, so that nothing else runs them.</summary>
public sealed class InLabTests : IDisposable
{
    /// <summary>How many there are: that all ran is part of the proof.</summary>
    public const int Count = 2;

    // QEMU starts by emulation there.
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(30);

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-in-lab-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact(Explicit = true)]
    public async Task Probe_WhereKvmWorks_SaysSo()
    {
        var answer = await KvmProbe.AskAsync(HostMode.Root, _folder, ProbeLimit, TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.True(answer.IsUsable, answer.Reason);
        Assert.Null(answer.Group);
        Assert.Equal(answer, await KvmProbe.AskAsync(HostMode.Root, _folder, ProbeLimit, TimeProvider.System, TestContext.Current.CancellationToken));
    }

    [Fact(Explicit = true)]
    public async Task Machine_ByKvm_RunsSavesRestoresAndStops()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var store = new ImageStore();
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(_folder, "host"),
            CacheFolder = Path.Combine(_folder, "cache"),
            Boot = async stop => await store.GetBootAsync(await AgentBinary.PathAsync, null, stop),
            KvmProbeLimit = ProbeLimit,
            BootTimeout = TimeSpan.FromMinutes(2),
            Network = new NetworkOptions { BridgeName = "nvinner", Prefix = "10.200.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, cancellationToken);
            var driver = (await host.GetDriversAsync(cancellationToken)).Single(d => d.Name == "qemu");
            Assert.True(driver.Accelerated, driver.Reason);

            var clock = Stopwatch.StartNew();
            var machine = await host.StartAsync(new MachineSpec { Name = "inner", MemoryMiB = 96, DiskBytes = 64 << 20 }, null, cancellationToken);
            TestContext.Current.SendDiagnosticMessage("started in {0:0} ms: {1}", clock.Elapsed.TotalMilliseconds, machine.Timings);
            Assert.Contains(Processes(), arguments => arguments.Contains("-accel\0kvm", StringComparison.Ordinal));
            var stats = await machine.GetStatsAsync(cancellationToken);
            Assert.InRange(stats.MemoryTotal, 32L << 20, 96L << 20);

            await machine.PauseAsync(cancellationToken);
            Assert.Equal(MachineState.Paused, machine.State);
            await machine.ResumeAsync(cancellationToken);

            var snapshot = Path.Combine(_folder, "snapshot");
            clock.Restart();
            _ = await machine.SnapshotAsync(snapshot, cancellationToken);
            TestContext.Current.SendDiagnosticMessage("saved in {0:0} ms", clock.Elapsed.TotalMilliseconds);
            clock.Restart();
            var clone = await host.RestoreAsync(snapshot, spec => spec with { Name = "clone" }, cancellationToken);
            TestContext.Current.SendDiagnosticMessage("restored in {0:0} ms", clock.Elapsed.TotalMilliseconds);
            Assert.NotEqual(machine.Address, clone.Address);
            Assert.True((await clone.GetStatsAsync(cancellationToken)).Uptime > TimeSpan.Zero);

            await clone.StopAsync(TimeSpan.Zero, cancellationToken);
            await machine.StopAsync(TimeSpan.Zero, cancellationToken);
            Assert.Equal(MachineState.Stopped, machine.State);
            Assert.Empty(Processes());
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }
    }

    private static IEnumerable<string> Processes() => Directory.EnumerateDirectories("/proc")
        .Where(path => int.TryParse(Path.GetFileName(path), out _))
        .Select(path =>
        {
            try
            {
                return Encoding.UTF8.GetString(File.ReadAllBytes(path + "/cmdline"));
            }
            catch (IOException)
            {
                return "";
            }
        })
        .Where(arguments => arguments.StartsWith("qemu-system", StringComparison.Ordinal) || arguments.Contains("/qemu-system", StringComparison.Ordinal));
}

using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

/// <summary>A machine host in a process of its own, to be killed: it has one machine running and another half started.</summary>
internal static class HostChild
{
    public const string Verb = "machine-host";
    public const string ContainerVerb = "container-host";

    /// <param name="agentPath">For containers; null for virtual machines.</param>
    public static async Task<int> RunAsync(string folder, string bridge, string? agentPath = null)
    {
        var options = TestHost.Of(folder, bridge, agentPath).Options;
        var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        var spec = new MachineSpec { Name = "child", MemoryMiB = 96, DiskBytes = 1L << 30, Layers = [await TestBoot.Layer], Driver = agentPath is null ? "auto" : "container" };
        var machine = await host.StartAsync(spec, TestHost.Shell("sleep 1000"), CancellationToken.None);
        var half = host.StartAsync(spec, TestHost.Shell("sleep 1000"), CancellationToken.None);
        await Console.Out.WriteLineAsync(machine.Id);
        _ = await half;
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }
}

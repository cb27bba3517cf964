using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Machines;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Chaos;

/// <summary>A machine host in a process of its own that takes machines through every transition, and says before each what comes.</summary>
internal static class ChaosChild
{
    public const string Verb = "machine-chaos";

    /// <summary>All that a driver can do, in order.</summary>
    public static IReadOnlyList<string> Steps(string driver) => driver == "container"
        ? ["start", "pause", "resume", "second", "stop"]
        : ["start", "pause", "resume", "snapshot", "restore", "suspend", "wake", "stop"];

    /// <summary>The arguments of <see cref="RunAsync"/> for a process of its own.</summary>
    public static IReadOnlyList<string> Arguments(TestHost test, string driver, IEnumerable<string> steps, string snapshots) =>
        [Verb, test.Options.Folder, test.Options.Network.BridgeName, driver, string.Join(',', steps), snapshots, test.Options.AgentPath!];

    /// <param name="steps">Which of <see cref="Steps"/>, with commas.</param>
    /// <param name="snapshots">A folder for snapshots.</param>
    public static async Task<int> RunAsync(string folder, string bridge, string driver, string steps, string snapshots, string agentPath)
    {
        var options = TestHost.Of(folder, bridge, agentPath).Options;
        await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        var spec = new MachineSpec { Name = "chaos", MemoryMiB = 96, DiskBytes = 64 << 20, Layers = [await TestBoot.Layer], Driver = driver };
        var main = TestHost.Shell("sleep 1000");
        Machine? machine = null;
        foreach (var step in steps.Split(','))
        {
            await Console.Out.WriteLineAsync(step);
            await Console.Out.FlushAsync();
            switch (step)
            {
                case "start":
                    machine = await host.StartAsync(spec, main, CancellationToken.None);
                    break;
                case "second":
                    _ = await host.StartAsync(spec, main, CancellationToken.None);
                    break;
                case "pause":
                    await machine!.PauseAsync(CancellationToken.None);
                    break;
                case "resume":
                    await machine!.ResumeAsync(CancellationToken.None);
                    break;
                case "snapshot":
                    _ = await machine!.SnapshotAsync(Path.Combine(snapshots, "one"), CancellationToken.None);
                    break;
                case "restore":
                    _ = await host.RestoreAsync(Path.Combine(snapshots, "one"), null, CancellationToken.None);
                    break;
                case "suspend":
                    await machine!.SuspendAsync(CancellationToken.None);
                    break;
                case "wake":
                    await machine!.WakeAsync(null, CancellationToken.None);
                    break;
                default:
                    await Task.WhenAll(host.Machines.Select(m => m.StopAsync(TimeSpan.FromSeconds(1), CancellationToken.None)));
                    break;
            }
        }

        await Console.Out.WriteLineAsync("end");
        return 0;
    }
}

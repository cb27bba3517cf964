using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Chaos;

/// <summary>What a host finds that was killed: each machine whole or not at all, and nothing else.</summary>
internal static class Survivors
{
    /// <summary>Opens the host again. All machines that it has live, but for those that were being stopped.</summary>
    /// <param name="cut">What was cut off, for errors.</param>
    public static async Task OpenAsync(TestHost test, string cut)
    {
        var machines = Path.Combine(test.Options.Folder, "machines");
        var stopping = (Directory.Exists(machines) ? Directory.EnumerateFiles(machines, MachineRecord.FileName, SearchOption.AllDirectories) : [])
            .Select(path => SafeFile.ReadJson(path, MachineJson.Default.MachineRecord))
            .Where(record => record is { IsStopping: true }).Select(record => record!.Id).ToHashSet();
        await test.ReopenAsync();
        foreach (var machine in test.Host.Machines.Where(m => !stopping.Contains(m.Id)))
        {
            if (machine.State == MachineState.Paused)
                await machine.ResumeAsync(CancellationToken.None);
            if (machine.State == MachineState.Snapshotted)
                await machine.WakeAsync(null, CancellationToken.None);
            Assert.True(machine.State == MachineState.Running, $"{cut}: {machine.State}, {machine.FailureReason}");
            var failure = await Record.ExceptionAsync(async () => Assert.Equal("alive", (await TestHost.RunAsync(machine, "echo alive")).Output));
            Assert.True(failure is null, $"{cut}: {failure?.Message}");
        }
    }

    public static async Task StopAsync(TestHost test, string cut)
    {
        await Task.WhenAll(test.Host.Machines.Select(m => m.StopAsync(TimeSpan.Zero, CancellationToken.None)));
        await LeaveNothingAsync(test, cut);
    }

    public static async Task LeaveNothingAsync(TestHost test, string cut)
    {
        var left = await test.LeftoversAsync();
        Assert.True(left.Count == 0, $"{cut}: {string.Join("; ", left)}");
    }
}

using NanoVms.Commands;
using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Drivers.Firecracker;
using NanoVms.Drivers.Vmm;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>The real programs, where they are on the search path; machines of them also need a usable KVM.</summary>
public sealed class RealVmmTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Firecracker_Interface_TakesADescription()
    {
        Assert.SkipWhen(ProgramLocator.Find(FirecrackerArguments.Program) is null, "There is no firecracker in the search path.");
        var folder = Directory.CreateTempSubdirectory("nanovms-real-").FullName;
        using var errors = new ErrorTail();
        var process = DetachedProcess.Start(
            new Command(FirecrackerArguments.Program, "--id", "real", "--api-sock", Path.Combine(folder, "api.sock")), [], errors.ProgramsEnd);
        try
        {
            using var client = new FirecrackerClient(folder, "api.sock", TimeProvider.System);
            var instance = await VmmStart.AskAsync(folder, "api.sock", process, client.GetInstanceAsync, TimeProvider.System, None);
            Assert.Equal(InstanceState.NotStarted, instance.State);
            await client.PutMachineAsync(new MachineConfiguration(2, 256), None);
            Assert.Equal(256, (await client.GetMachineAsync(None)).MemSizeMib);
            await client.PutVsockAsync(new VsockDevice(3, Path.Combine(folder, "vsock.sock")), None);
            await client.PutEntropyAsync(None);
            await client.PutBalloonAsync(new Balloon(0, DeflateOnOom: true) { StatsPollingIntervalS = 1 }, None);
        }
        finally
        {
            await process.KillAsync(TimeProvider.System, None);
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task CloudHypervisor_Interface_Answers()
    {
        Assert.SkipWhen(ProgramLocator.Find(CloudHypervisorArguments.Program) is null, "There is no cloud-hypervisor in the search path.");
        var folder = Directory.CreateTempSubdirectory("nanovms-real-").FullName;
        using var errors = new ErrorTail();
        var process = DetachedProcess.Start(
            new Command(CloudHypervisorArguments.Program, "--api-socket", $"path={Path.Combine(folder, "api.sock")}"), [], errors.ProgramsEnd);
        try
        {
            using var client = new CloudHypervisorClient(folder, "api.sock", TimeProvider.System);
            Assert.NotEmpty((await VmmStart.AskAsync(folder, "api.sock", process, client.PingAsync, TimeProvider.System, None)).Version);
        }
        finally
        {
            await process.KillAsync(TimeProvider.System, None);
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData(FirecrackerDriver.DriverName)]
    [InlineData(CloudHypervisorDriver.DriverName)]
    public async Task Machine_Booted_RunsAProgram(string driver)
    {
        await using var host = await TestHost.OpenAsync();
        var status = (await host.Host.GetDriversAsync(None)).Single(d => d.Name == driver);
        Assert.SkipUnless(status.Usable, status.Reason);
        var machine = await host.StartAsync(null, spec => spec with { Driver = driver });
        Assert.Equal("hello", (await TestHost.RunAsync(machine, "echo hello")).Output);
        await machine.PauseAsync(None);
        await machine.ResumeAsync(None);
        Assert.Equal("hello", (await TestHost.RunAsync(machine, "echo hello")).Output);
        await machine.StopAsync(TimeSpan.FromSeconds(2), None);
        Assert.Empty(await host.LeftoversAsync());
    }
}

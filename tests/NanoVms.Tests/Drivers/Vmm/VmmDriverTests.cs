using NanoVms.Agent;
using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Drivers.Firecracker;
using NanoVms.Machines;
using NanoVms.Snapshots;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>
/// Both drivers that speak HTTP, whole, with a program that checks all that is asked of it: as a user of its own, in its own folder,
/// with the real agent behind its vsock.
/// </summary>
public sealed class VmmDriverTests
{
    private const string Firecracker = FirecrackerDriver.DriverName;
    private const string CloudHypervisor = CloudHypervisorDriver.DriverName;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Machine_WholeLife_OverTheAgentsChannel(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        var driver = Driver(kind, bed);
        var status = await driver.GetStatusAsync(None);
        Assert.True(status is { Usable: true, Accelerated: true }, status.Reason);
        var (plan, record) = await bed.PlanAsync(kind);
        var machine = await bed.StartAsync(driver, plan, record);

        await AssertAgentAsync(machine);
        Assert.Equal("Guest [1mbooted", await ConsoleAsync(machine));
        Assert.Equal($"{plan.Lease.UserId}", UserOf(machine.Identity));
        // What the hypervisor wrote to its disks arrived in the machine's own.
        Assert.StartsWith(kind == Firecracker ? "PUT /drives/disk" : "disk", await File.ReadAllTextAsync(plan.DiskPath), StringComparison.Ordinal);
        Assert.StartsWith(kind == Firecracker ? "PUT /drives/drive0" : "d-my-data", await File.ReadAllTextAsync(bed.DrivePath), StringComparison.Ordinal);

        await machine.PauseAsync(None);
        await machine.ResumeAsync(None);
        await machine.SqueezeAsync(96 << 20, 64 << 20, None);
        Assert.False(machine.Ended.IsCompleted);
        await machine.TerminateAsync();
        Assert.NotEmpty(await machine.Ended.WaitAsync(TimeSpan.FromSeconds(5)));
        Assert.False(machine.Identity.IsAlive);
        Assert.Empty(VmmTestBed.Violations(plan));
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Attach_AfterARestartOfTheHost_GoesOn(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        var (plan, record) = await bed.PlanAsync(kind);
        var first = await bed.StartAsync(Driver(kind, bed), plan, record);
        await first.PauseAsync(None);
        await first.DisposeAsync();

        var second = bed.Keep(Driver(kind, bed).Attach(plan.Folder, record, first.Identity));
        Assert.Equal(MachineState.Paused, await second.ConnectAsync(None));
        await second.ResumeAsync(None);
        await AssertAgentAsync(second);
        second.Identity.Signal(9);
        Assert.Contains("killed by signal 9", await second.Ended.WaitAsync(TimeSpan.FromSeconds(5)), StringComparison.Ordinal);
        Assert.Empty(VmmTestBed.Violations(plan));
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Save_ThenLoadTwice_AreThatMachine(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        var driver = Driver(kind, bed);
        var (plan, record) = await bed.PlanAsync(kind);
        var machine = await bed.StartAsync(driver, plan, record);
        await machine.PauseAsync(None);
        var snapshot = Directory.CreateDirectory(Path.Combine(plan.Folder, "snapshot"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        await machine.SaveAsync(snapshot, null, None);
        var again = Directory.CreateDirectory(Path.Combine(plan.Folder, "again")).FullName;
        await machine.SaveAsync(again, null, None);

        foreach (var folder in new[] { snapshot, again })
        {
            var (clonePlan, cloneRecord) = await bed.PlanAsync(kind, folder);
            var clone = await bed.StartAsync(driver, clonePlan, cloneRecord);
            await clone.LoadAsync(folder, None);
            await clone.ResumeAsync(None);
            await AssertAgentAsync(clone);
            Assert.Empty(VmmTestBed.Violations(clonePlan));
        }

        var memory = Path.Combine(again, kind == Firecracker ? "memory" : "memory-ranges");
        await File.WriteAllTextAsync(memory, "mEmory");
        var (badPlan, _) = await bed.PlanAsync(kind, again);
        using var errors = new ErrorTail();
        _ = await Assert.ThrowsAsync<SnapshotException>(() => driver.LaunchAsync(badPlan, errors, None));
        Assert.Empty(VmmTestBed.Violations(plan));
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Save_OnASnapshot_KeepsTheDifferenceAndLoadsTheWhole(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        var driver = Driver(kind, bed);
        var (plan, record) = await bed.PlanAsync(kind);
        var machine = await bed.StartAsync(driver, plan, record);
        await machine.PauseAsync(None);
        var (whole, difference) = (Path.Combine(plan.Folder, "whole"), Path.Combine(plan.Folder, "difference"));
        await SnapshotWriter.WriteAsync(whole, null, plan.DiskPath, record, machine, TimeProvider.System, None);
        await SnapshotWriter.WriteAsync(difference, whole, plan.DiskPath, record, machine, TimeProvider.System, None);
        var memory = kind == Firecracker ? "memory" : "memory-ranges";
        Assert.Equal(FakeMemory.Blocks * FakeMemory.BlockBytes, SparseSource.AllocatedBytes(Path.Combine(whole, memory)));
        Assert.Equal(FakeMemory.BlockBytes, SparseSource.AllocatedBytes(Path.Combine(difference, memory)));

        var (clonePlan, cloneRecord) = await bed.PlanAsync(kind, difference);
        var clone = await bed.StartAsync(driver, clonePlan, cloneRecord);
        await clone.LoadAsync(difference, None);
        await AssertAgentAsync(clone);
        Assert.Empty(VmmTestBed.Violations(clonePlan));

        // What it builds on is checked with it.
        await using (var parent = File.OpenWrite(Path.Combine(whole, memory)))
            parent.WriteByte(99);
        var (badPlan, _) = await bed.PlanAsync(kind, difference);
        using var errors = new ErrorTail();
        Assert.Contains("damaged", (await Assert.ThrowsAsync<SnapshotException>(() => driver.LaunchAsync(badPlan, errors, None))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Save_HypervisorPutALink_IsRefused(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        var (plan, record) = await bed.PlanAsync(kind);
        var machine = await bed.StartAsync(Driver(kind, bed), plan, record);
        await machine.PauseAsync(None);
        var save = Directory.CreateDirectory(Path.Combine(plan.Folder, "vm", "save")).FullName;
        File.SetUnixFileMode(save, (UnixFileMode)Convert.ToInt32("777", 8));
        var snapshot = Directory.CreateDirectory(Path.Combine(plan.Folder, "snapshot")).FullName;
        // What it writes to is what the link leads to, in its jail; here the same path could be any file.
        var secret = Path.Combine(plan.Folder, "vm", "secret");
        await File.WriteAllTextAsync(secret, "secret");
        File.SetUnixFileMode(secret, (UnixFileMode)Convert.ToInt32("666", 8));
        _ = File.CreateSymbolicLink(Path.Combine(save, kind == Firecracker ? "memory" : "memory-ranges"), secret);
        Assert.Contains("wrote no file", (await Assert.ThrowsAsync<IOException>(() => machine.SaveAsync(snapshot, null, None))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Firecracker, "bad magic")]
    [InlineData(CloudHypervisor, "bad magic")]
    public async Task Connect_KernelRefused_SaysWhy(string kind, string reason)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        await File.WriteAllTextAsync(bed.KernelPath, FakeVmm.BadKernel);
        var (plan, record) = await bed.PlanAsync(kind);
        var failure = await Assert.ThrowsAnyAsync<HypervisorException>(() => bed.StartAsync(Driver(kind, bed), plan, record));
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Connect_ProgramEndsAtOnce_FailsWithItsMessage(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        await File.WriteAllTextAsync(bed.Program, "#!/bin/sh\necho no such option >&2; exit 3\n");
        var (plan, record) = await bed.PlanAsync(kind);
        var failure = await Assert.ThrowsAnyAsync<HypervisorException>(() => bed.StartAsync(Driver(kind, bed), plan, record));
        Assert.Contains("no such option", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task Launch_LayerThatOnlyRootMayRead_SaysWhatToDo(string kind)
    {
        await using var bed = await VmmTestBed.CreateAsync(kind);
        File.SetUnixFileMode(bed.KernelPath, UnixFileMode.UserRead);
        var (plan, _) = await bed.PlanAsync(kind);
        using var errors = new ErrorTail();
        var failure = await Assert.ThrowsAsync<IOException>(() => Driver(kind, bed).LaunchAsync(plan, errors, None));
        Assert.Contains($"chmod o+r {bed.KernelPath}", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Firecracker)]
    [InlineData(CloudHypervisor)]
    public async Task GetStatus_NotUsable_SaysWhy(string kind)
    {
        var missing = await Driver(kind, "no-such-program-here").GetStatusAsync(None);
        Assert.False(missing.Usable);
        Assert.Contains("no-such-program-here", missing.Reason, StringComparison.Ordinal);

        var folder = Directory.CreateTempSubdirectory("nanovms-version-").FullName;
        try
        {
            var program = Path.Combine(folder, "program");
            await File.WriteAllTextAsync(program, "#!/bin/sh\necho 'VMM v1.2.3-dev'\n");
            File.SetUnixFileMode(program, (UnixFileMode)Convert.ToInt32("755", 8));
            Assert.Contains("version 1.2.3", (await Driver(kind, program).GetStatusAsync(None)).Reason, StringComparison.Ordinal);

            await File.WriteAllTextAsync(program, "#!/bin/sh\necho 'VMM v99.0'\n");
            Assert.True((await Driver(kind, program).GetStatusAsync(None)).Usable);
            var noKvm = await Driver(kind, program, kvm: false).GetStatusAsync(None);
            Assert.Equal((false, false), (noKvm.Usable, noKvm.Accelerated));
            Assert.EndsWith("There is no /dev/kvm.", noKvm.Reason, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Firecracker_GuestEndsItself_IsSeen()
    {
        await using var bed = await VmmTestBed.CreateAsync(Firecracker);
        var (plan, record) = await bed.PlanAsync(Firecracker);
        var machine = await bed.StartAsync(Driver(Firecracker, bed), plan, record);
        using var client = new FirecrackerClient(Path.Combine(plan.Folder, "vm"), "api.sock", TimeProvider.System);
        await client.ActAsync(ActionType.SendCtrlAltDel, None);
        Assert.StartsWith("The guest ended itself", await machine.Ended.WaitAsync(TimeSpan.FromSeconds(5)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task CloudHypervisor_GuestResets_CountsAsEnded()
    {
        await using var bed = await VmmTestBed.CreateAsync(CloudHypervisor);
        var (plan, record) = await bed.PlanAsync(CloudHypervisor);
        var machine = await bed.StartAsync(Driver(CloudHypervisor, bed), plan, record);
        await AssertAgentAsync(machine);
        await CommandRunner.RunCheckedAsync(
            new Command("curl", "-sf", "--unix-socket", Directory.GetFiles(Path.Combine(plan.Folder, "vm"), "nanovms-*.sock").Single(), "-X", "PUT", "http://localhost/api/v1/vm.reboot"),
            None);
        await using (await machine.ConnectAgentAsync(None))
            Assert.StartsWith("The guest reset itself", await machine.Ended.WaitAsync(TimeSpan.FromSeconds(5)), StringComparison.Ordinal);
    }

    private static IMachineDriver Driver(string kind, VmmTestBed bed, string jailer = "no-jailer") => kind == Firecracker
        ? new FirecrackerDriver(VmmTestBed.UsableKvm, TimeProvider.System, bed.Program, jailer, bed.Needs)
        : new CloudHypervisorDriver(VmmTestBed.UsableKvm, TimeProvider.System, bed.Program, bed.Needs);

    private static IMachineDriver Driver(string kind, string program, bool kvm = true)
    {
        Func<CancellationToken, Task<NanoVms.Drivers.Qemu.KvmAnswer>> probe =
            kvm ? VmmTestBed.UsableKvm : _ => Task.FromResult(new NanoVms.Drivers.Qemu.KvmAnswer(false, null, "There is no /dev/kvm."));
        return kind == Firecracker ? new FirecrackerDriver(probe, TimeProvider.System, program, "no-jailer") : new CloudHypervisorDriver(probe, TimeProvider.System, program);
    }

    /// <summary>The agent has no programs to run in a jail: it is the way to it that is tried.</summary>
    private static async Task AssertAgentAsync(IHypervisor machine)
    {
        await using var agent = await ConnectAgentAsync(machine);
        Assert.Empty(await agent.GetServicesAsync(Cancel.After(20)));
    }

    /// <summary>The agent listens a moment after the machine started.</summary>
    private static async Task<AgentConnection> ConnectAgentAsync(IHypervisor machine)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                return await AgentConnection.ConnectAsync(await machine.ConnectAgentAsync(None), TimeProvider.System, None);
            }
            catch (Exception e) when (tries < 100 && e is IOException or System.Net.Sockets.SocketException or AgentException)
            {
                await Task.Delay(20);
            }
        }
    }

    private static async Task<string> ConsoleAsync(IHypervisor machine)
    {
        var console = new List<byte>();
        for (var tries = 0; tries < 100 && console.Count == 0; tries++)
        {
            await Task.Delay(20);
            console.AddRange(await machine.ReadConsoleAsync(None));
        }

        return NanoVms.Drivers.ConsoleText.Tail(console.ToArray());
    }

    private static string UserOf(ProcessIdentity process) =>
        File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1];
}

using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Drivers.Qemu;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>What a driver needs to start machines with <see cref="FakeVmm"/> as its program.</summary>
internal sealed class VmmTestBed : IAsyncDisposable
{
    public const string HostId = "0test0";
    private readonly List<IHypervisor> _hypervisors = [];
    private readonly string _folder;
    private int _machines;

    private VmmTestBed(string folder) => _folder = folder;

    /// <summary>A script that starts the fake.</summary>
    public string Program => Path.Combine(_folder, "program");

    public string KernelPath => Path.Combine(_folder, "vmlinux");

    public string DrivePath => Path.Combine(_folder, "drive");

    public static Task<KvmAnswer> UsableKvm(CancellationToken cancellationToken) => Task.FromResult(new KvmAnswer(true, null, "KVM is as if it were usable."));

    /// <param name="kind">As <see cref="FakeVmm.RunAsync"/> knows it.</param>
    public static async Task<VmmTestBed> CreateAsync(string kind)
    {
        var bed = new VmmTestBed(Directory.CreateTempSubdirectory("nanovms-vmm-").FullName);
        // The fake runs as another user, who may not be able to look into the tree.
        File.SetUnixFileMode(bed._folder, (UnixFileMode)Convert.ToInt32("755", 8));
        await CommandRunner.RunCheckedAsync(new Command("cp", "-a", AppContext.BaseDirectory, Path.Combine(bed._folder, "tests")), CancellationToken.None);
        var agent = Path.Combine(bed._folder, "agent");
        File.Copy(await AgentBinary.PathAsync, agent);
        await File.WriteAllTextAsync(
            bed.Program,
            $"""
            #!/bin/sh
            [ "$1" = --version ] && echo "{(kind == "firecracker" ? "Firecracker v1.14.0" : "cloud-hypervisor v48.0")}" && exit
            export DOTNET_EnableDiagnostics=0 {FakeVmm.Agent}={agent}
            exec {bed._folder}/tests/NanoVms.Tests {FakeVmm.Verb} {kind} "$@"

            """);
        File.SetUnixFileMode(bed.Program, (UnixFileMode)Convert.ToInt32("755", 8));
        foreach (var file in new[] { bed.KernelPath, bed.InitramfsPath, bed.LayerPath, bed.DrivePath })
            await File.WriteAllTextAsync(file, Path.GetFileName(file));
        return bed;
    }

    /// <summary>A fresh machine's plan and record; its folder is closed to other users.</summary>
    public async Task<(MachinePlan Plan, MachineRecord Record)> PlanAsync(string driver, string? restore = null)
    {
        var id = $"machine{++_machines:00000}";
        var folder = Path.Combine(_folder, id);
        _ = Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var disk = Path.Combine(folder, MachineDisk.FileName);
        await File.WriteAllTextAsync(disk, "disk");
        File.SetUnixFileMode(disk, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var spec = new MachineSpec { Name = "test", MemoryMiB = 96, Driver = driver, Layers = [LayerPath], Drives = [new DriveSpec("my-data", DrivePath, ReadOnly: false)] };
        var lease = GuestLease.Create("bp0test0-", Ipv4Prefix.Parse("10.202.0.0/20"), 1 + _machines);
        return (
            new MachinePlan(HostId, id, spec, new BootFiles(KernelPath, InitramfsPath), lease, folder, disk, null, 1400, restore),
            new MachineRecord { Id = id, Spec = spec, Driver = driver, Place = lease.Index });
    }

    /// <summary>Launches and connects, as a host does.</summary>
    public async Task<IHypervisor> StartAsync(IMachineDriver driver, MachinePlan plan, MachineRecord record)
    {
        using var errors = new ErrorTail();
        var hypervisor = Keep(driver.Attach(plan.Folder, record, await driver.LaunchAsync(plan, errors, CancellationToken.None)));
        try
        {
            _ = await hypervisor.ConnectAsync(CancellationToken.None);
            return hypervisor;
        }
        catch (HypervisorException e)
        {
            throw new HypervisorException($"{e.Message} It says: {await errors.ReadToEndAsync(TimeSpan.FromSeconds(1), TimeProvider.System)}", e);
        }
    }

    public IHypervisor Keep(IHypervisor hypervisor)
    {
        _hypervisors.Add(hypervisor);
        return hypervisor;
    }

    /// <summary>What the fake found wrong with a machine's requests.</summary>
    public static string Violations(MachinePlan plan)
    {
        var file = Path.Combine(plan.Folder, "vm", FakeVmm.ViolationsFile);
        return File.Exists(file) ? File.ReadAllText(file) : "";
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var hypervisor in _hypervisors)
        {
            await hypervisor.DisposeAsync();
            await hypervisor.Identity.KillAsync(TimeProvider.System, CancellationToken.None);
        }

        Directory.Delete(_folder, recursive: true);
    }

    private string InitramfsPath => Path.Combine(_folder, "initramfs");

    private string LayerPath => Path.Combine(_folder, "layer");
}

using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Agent;
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

    private GuestBridge? _bridge;

    private VmmTestBed(string folder) => _folder = folder;

    /// <summary>What the fake reads while it starts: unlike a hypervisor it is more than one file.</summary>
    public IReadOnlyList<string> Needs => ["/bin/sh", DotNet, Path.Combine(_folder, "tests"), Path.Combine(_folder, "agent")];

    private static string DotNet { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));

    /// <summary>A script that starts the fake.</summary>
    public string Program => Path.Combine(_folder, "firecracker");

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
            export DOTNET_EnableDiagnostics=0 DOTNET_EnableWriteXorExecute=0 DOTNET_ROOT={DotNet} {FakeVmm.Agent}={agent}
            exec {bed._folder}/tests/NanoVms.Tests {FakeVmm.Verb} {kind} "$@"

            """);
        File.SetUnixFileMode(bed.Program, (UnixFileMode)Convert.ToInt32("755", 8));
        foreach (var file in new[] { bed.KernelPath, bed.InitramfsPath, bed.LayerPath, bed.DrivePath })
            await File.WriteAllTextAsync(file, Path.GetFileName(file));
        return bed;
    }

    /// <summary>Makes a bridge, so that machines can have cards.</summary>
    public async Task OpenBridgeAsync() => _bridge = await GuestBridge.OpenAsync(
        _folder,
        new NetworkOptions { BridgeName = $"nvv{Random.Shared.Next(0x10000):x4}", Prefix = "10.202.0.0/20", Upstreams = ["198.51.100.2"] },
        _ => [],
        NullLogger.Instance,
        TimeProvider.System,
        CancellationToken.None);

    /// <summary>A machine's plan with cards in the bridge. What it holds open is the caller's to close.</summary>
    public async Task<(MachinePlan Plan, MachineRecord Record)> PlanWithCardsAsync(string driver, int count, string? restore = null)
    {
        var (plan, record) = await PlanAsync(driver, restore);
        var cards = new List<PlannedCard>();
        for (var i = 0; i < count; i++)
        {
            var port = _bridge!.PortAt(_bridge.Pool.Take()!.Value, "", new RateLimits(50_000_000, 50_000_000));
            cards.Add(new PlannedCard(new MachineCard($"eth{i}", port, new GuestNetwork(port.Lease.Address, 20, null, null, 1400), null), await _bridge.PlugAsync(port, CancellationToken.None)));
        }

        return (plan with { Tap = cards[0].Tap, Cards = cards, Bridge = _bridge, Lease = cards[0].Card.Port.Lease }, record);
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

    /// <summary>
    /// A jailer that takes the command line of Firecracker's and does as its documentation says. As the fake Firecracker is more than one file,
    /// it also puts what that needs into the jail.
    /// </summary>
    public async Task<string> WriteJailerAsync()
    {
        var path = Path.Combine(_folder, "jailer");
        await File.WriteAllTextAsync(
            path,
            $"""
            #!/bin/sh
            set -eu
            [ "$1 $3 $5 $7 $9" = "--id --exec-file --uid --gid --chroot-base-dir" ]
            id=$2 file=$4 uid=$6 gid=$8; shift 8
            base=$2; shift 2
            [ "$1 $2 $3" = "--resource-limit no-file=2048 --" ]; shift 3
            root=$base/$(basename "$file")/$id/root
            cp "$file" "$root/firecracker"
            export root uid gid id
            exec unshare -m --propagation slave sh -euc '
              mount --rbind "$root" "$root"
              for need in /usr /bin /lib /lib64 {string.Join(' ', Needs)}; do
                if [ -d "$need" ]; then mkdir -p "$root$need"; else mkdir -p "$(dirname "$root$need")"; [ -e "$root$need" ] || touch "$root$need"; fi
                mount --rbind "$need" "$root$need"
              done
              mkdir -p "$root/proc" "$root/dev/net" "$root/old_root"
              mount -t proc proc "$root/proc"
              mknod "$root/dev/kvm" c 10 232; mknod "$root/dev/net/tun" c 10 200; mknod -m 666 "$root/dev/null" c 1 3; mknod -m 666 "$root/dev/urandom" c 1 9
              chown "$uid:$gid" "$root" "$root/dev/kvm" "$root/dev/net/tun"
              cd "$root"; pivot_root . old_root; cd /; umount -l /old_root; rmdir /old_root
              exec setpriv --reuid "$uid" --regid "$gid" --clear-groups /firecracker --id "$id" "$@"
            ' jailer "$@"

            """);
        File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32("755", 8));
        return path;
    }

    /// <summary>Launches and connects, as a host does.</summary>
    public async Task<IHypervisor> StartAsync(IMachineDriver driver, MachinePlan plan, MachineRecord record)
    {
        using var errors = new ErrorTail();
        var process = await driver.LaunchAsync(plan, errors, CancellationToken.None);
        foreach (var card in plan.Cards)
            card.Tap!.Dispose();
        var hypervisor = Keep(driver.Attach(plan.Folder, record, process));
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

        if (_bridge is not null)
        {
            await _bridge.RemoveAsync(CancellationToken.None);
            await _bridge.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private string InitramfsPath => Path.Combine(_folder, "initramfs");

    private string LayerPath => Path.Combine(_folder, "layer");
}

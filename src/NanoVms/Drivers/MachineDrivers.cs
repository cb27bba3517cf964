using Microsoft.Extensions.Logging;
using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Drivers.Container;
using NanoVms.Drivers.Firecracker;
using NanoVms.Drivers.Qemu;
using NanoVms.Machines;

namespace NanoVms.Drivers;

/// <summary>All drivers, and which one a machine gets.</summary>
internal sealed class MachineDrivers
{
    /// <summary>The driver of <see cref="MachineSpec.Driver"/> <c>auto</c>: with KVM where a probe ran a guest at full speed, by emulation elsewhere.</summary>
    private const string Automatic = QemuDriver.DriverName;

    public MachineDrivers(HostMode mode, string cacheFolder, TimeSpan probeLimit, ILoggerFactory loggerFactory, TimeProvider time)
    {
        var qemu = new QemuDriver(mode, cacheFolder, probeLimit, loggerFactory.CreateLogger<QemuDriver>(), time);
        // One probe for all.
        All =
        [
            qemu,
            .. new (IMachineDriver Driver, string Why)[]
            {
                (new FirecrackerDriver(qemu.ProbeAsync, time), "Firecracker has a user of its own here, and a tap of the computer's."),
                (new CloudHypervisorDriver(qemu.ProbeAsync, time), "Cloud Hypervisor has a user of its own here, and a tap of the computer's."),
                (new ContainerDriver(time), "A container's disks are mounted by the computer, and its users are others than this one."),
            }.Select(other => mode == HostMode.Root ? other.Driver : new RootOnlyDriver(other.Driver, other.Why)),
        ];
    }

    public IReadOnlyList<IMachineDriver> All { get; }

    /// <summary>Null when there is no driver of this name.</summary>
    public IMachineDriver? Find(string name) => All.FirstOrDefault(driver => driver.Name == (name == "auto" ? Automatic : name));

    /// <summary>The driver that a machine was started with.</summary>
    /// <exception cref="MachineException">A later version made the machine.</exception>
    public IMachineDriver Of(MachineRecord record) =>
        Find(record.Driver) ?? throw new MachineException($"Machine {record.Id} needs driver '{record.Driver}', which does not exist here.");

    /// <summary>For people: <c>'auto', 'qemu' or …</c></summary>
    public string Choices => string.Join(", ", All.Select(driver => $"'{driver.Name}'").Prepend("'auto'"));
}

using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Drivers;

/// <summary>A driver that takes root, in a process that is not: there to say so.</summary>
internal sealed class RootOnlyDriver(IMachineDriver driver, string why) : IMachineDriver
{
    public string Name => driver.Name;

    public DriverCapabilities Capabilities => driver.Capabilities;

    public Task<DriverStatus> GetStatusAsync(CancellationToken cancellationToken) =>
        Task.FromResult(new DriverStatus(Name, false, false, $"It takes root: {why} Run the machines' host as root, or choose driver 'qemu'."));

    public IEnumerable<string> FindErrors(MachineSpec spec) => driver.FindErrors(spec);

    public MachineDevices Devices(MachineSpec spec) => driver.Devices(spec);

    public long MemoryLimit(MachineSpec spec, bool accelerated) => driver.MemoryLimit(spec, accelerated);

    public string? ProcessMark(string hostId) => driver.ProcessMark(hostId);

    public Task<ProcessIdentity> LaunchAsync(MachinePlan plan, ErrorTail errors, CancellationToken cancellationToken) => driver.LaunchAsync(plan, errors, cancellationToken);

    public IHypervisor Attach(string folder, MachineRecord record, ProcessIdentity process) => driver.Attach(folder, record, process);

    public Task RemoveAsync(string folder, MachineRecord record, CancellationToken cancellationToken) => driver.RemoveAsync(folder, record, cancellationToken);
}

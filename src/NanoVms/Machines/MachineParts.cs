using NanoVms.Commands;
using NanoVms.Machines.Cgroups;
using NanoVms.Network;

namespace NanoVms.Machines;

/// <summary>Everything of a machine outside this process, and how it is taken away: in any state, as often as needed.</summary>
internal sealed class MachineParts(MachineContext context, MachineRecord record)
{
    private readonly Lock _gate = new();
    private MachineRecord _record = record;
    private bool _removed;

    public MachineRecord Record => _record;

    /// <summary>True once the machine's ports lead to it: only then are they its own to take back. An adopted machine's do.</summary>
    public bool IsPublished { get; set; } = record.Phase == MachinePhase.Running;

    public string Folder => context.FolderOf(_record.Id);

    public GuestLease Lease { get; } = context.Network.LeaseAt(record.Place);

    public IReadOnlyList<MachineCard> Cards { get; } = MachineCards.Of(record, context.Network);

    /// <summary>Changes the state file, whole or not at all.</summary>
    public void Update(Func<MachineRecord, MachineRecord> change)
    {
        lock (_gate)
        {
            _record = change(_record);
            if (!_removed)
                SafeFile.WriteJson(Path.Combine(Folder, MachineRecord.FileName), _record, MachineJson.Default.MachineRecord);
        }
    }

    /// <summary>
    /// As <see cref="Update"/>, for what is true whether or not it can be written down: on a full disk this process knows it, and the next
    /// one finds it out again.
    /// </summary>
    public void UpdateIfPossible(Func<MachineRecord, MachineRecord> change)
    {
        try
        {
            Update(change);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.StateNotWritten(context.Logger, _record.Id, e.Message);
        }
    }

    /// <summary>Makes the folder with its state file: before anything else, so that all that follows is found after a crash.</summary>
    public void Create()
    {
        _ = Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Update(r => r);
    }

    /// <summary>The first card where it is in the hypervisor's own network.</summary>
    public UserCable CableOf(ProcessIdentity hypervisor) =>
        new(Cards[0].Port, _record.Spec.Ports, hypervisor, Folder, uplink => UpdateIfPossible(r => r with { Uplink = uplink }));

    /// <summary>Where a machine that sleeps has its memory and devices.</summary>
    public string SleepFolder => Path.Combine(Folder, "sleep");

    /// <summary>Gives back what only a running machine needs: its process must be gone.</summary>
    /// <param name="keepsDisk">True for a machine that sleeps.</param>
    public async Task ReleaseAsync(bool keepsDisk = false)
    {
        if (_record.Process is { } process)
            await TryAsync("process", () => CgroupFreezer.KillAsync(process, context.Time, CancellationToken.None));
        await TryAsync("processes", () => context.CgroupOf(_record.Id).KillRestAsync(context.Time, CancellationToken.None));
        await TryAsync("driver", () => context.Drivers.Of(_record).RemoveAsync(Folder, _record, CancellationToken.None));
        // After the process, which has them open.
        await TryAsync("PCI devices", () =>
        {
            context.Pci.TakeBack(_record.Id, _record.PciLoans);
            return Task.CompletedTask;
        });
        if (_record.Uplink is { } uplink)
            await TryAsync("uplink", () => uplink.KillAsync(context.Time, CancellationToken.None));
        if (IsPublished)
            await TryAsync("ports", () => context.Network.WithdrawAsync(Lease, _record.Spec.Ports, CancellationToken.None));
        IsPublished = false;
        foreach (var card in Cards)
            await TryAsync("rules", () => context.Network.UnplugAsync(card.Port, CancellationToken.None));
        await TryAsync("control group", () => context.CgroupOf(_record.Id).RemoveAsync(context.Time, CancellationToken.None));
        if (keepsDisk)
            return;
        await TryAsync("disk", () =>
        {
            File.Delete(Path.Combine(Folder, MachineDisk.FileName));
            return Task.CompletedTask;
        });
    }

    /// <summary>Takes everything away; the folder goes last.</summary>
    public async Task RemoveAsync()
    {
        await TryAsync("state", () =>
        {
            Update(r => r with { Phase = MachinePhase.Removing });
            return Task.CompletedTask;
        });
        await ReleaseAsync();
        await TryAsync("folder", () =>
        {
            lock (_gate)
            {
                _removed = true;
                if (Directory.Exists(Folder))
                    Directory.Delete(Folder, recursive: true);
            }

            return Task.CompletedTask;
        });
        context.Network.Pool.Release(_record.Place);
        MachineCards.Release(_record.Cards, context.Network.Networks);
    }

    private async Task TryAsync(string step, Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CommandException)
        {
            Log.RemovalFailed(context.Logger, _record.Id, step, e.Message);
        }
    }
}

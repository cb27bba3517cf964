using BytePort.Server.Hosting;
using NanoVms.Machines;

namespace BytePort.Server.Machines.Disks;

/// <summary>Disks of machines that are persistent: one for each name in a team, which stays when the machine goes.</summary>
internal sealed class DiskStore(MachineHost host, ServerOptions options)
{
    /// <summary>The most that a team may keep.</summary>
    public const int MaxPerTeam = 20;

    private const string Suffix = ".raw";

    private readonly Lock _gate = new();

    public IReadOnlyList<DiskView> List(Guid team) => Directory.Exists(FolderOf(team))
        ? [.. Directory.EnumerateFiles(FolderOf(team), $"*{Suffix}").Order(StringComparer.Ordinal).Select(path => View(path))]
        : [];

    /// <summary>Where the disk of a name is or will be.</summary>
    /// <exception cref="MachineFaultException">The team keeps too many.</exception>
    public string PathFor(Guid team, string name)
    {
        var path = PathOf(team, name);
        return File.Exists(path) || List(team).Count < MaxPerTeam
            ? path
            : throw new MachineFaultException(MachineFault.Exhausted, $"Your team keeps {MaxPerTeam} disks, the most it may have. Remove one with: byteport machine disks --rm NAME");
    }

    /// <exception cref="MachineFaultException">The team has no such disk, or a machine has it.</exception>
    public void Remove(Guid team, string name)
    {
        lock (_gate)
        {
            var path = PathOf(team, name);
            if (!MachineRequestRules.IsMachineName(name, 1) || !File.Exists(path))
                throw new MachineFaultException(MachineFault.NotFound, $"There is no disk '{(name.Length <= 60 ? name : $"{name[..60]}…")}' in your team.");
            if (HolderOf(path) is { } holder)
                throw new MachineFaultException(MachineFault.WrongState, $"Machine {holder.Id} has the disk '{name}'. Stop it first.");
            File.Delete(path);
        }
    }

    private DiskView View(string path)
    {
        var info = new FileInfo(path);
        return new(Path.GetFileNameWithoutExtension(path), info.Length, HolderOf(path)?.Id, info.LastWriteTimeUtc);
    }

    private Machine? HolderOf(string path) => host.Machines.FirstOrDefault(machine => machine.Spec.DiskPath == path && machine.State != MachineState.Failed);

    private string PathOf(Guid team, string name) => Path.Combine(FolderOf(team), name + Suffix);

    private string FolderOf(Guid team) => options.InData("machine-disks", team.ToString("N"));
}

/// <param name="Name">Of the machines that have it, one at a time.</param>
/// <param name="Size">Bytes that the guest sees; only what was written takes room.</param>
/// <param name="Machine">The machine that has it now; null for none.</param>
internal sealed record DiskView(string Name, long Size, string? Machine, DateTimeOffset WrittenAt);

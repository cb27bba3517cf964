using System.Security.Cryptography;
using BytePort.Server.Hosting;
using NanoVms.Machines;
using NanoVms.Snapshots;

namespace BytePort.Server.Machines.Snapshots;

/// <summary>
/// Snapshots of machines by themselves. A folder per team holds a folder per snapshot, which is all the state there is: it appears whole
/// and goes whole.
/// </summary>
internal sealed class SnapshotService(MachineService machines, ServerOptions options) : IDisposable
{
    /// <summary>The most that a team may keep.</summary>
    public const int MaxPerTeam = 20;

    /// <summary>The most machines that one restore may make.</summary>
    public const int MaxClones = 20;

    private const int IdLength = 12;
    private const string IdCharacters = "abcdefghijklmnopqrstuvwxyz0123456789";
    private const string Going = ".removed";

    private readonly SemaphoreSlim _taking = new(1);

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<SnapshotView> List(Guid team) => [.. Read(team).Select(SnapshotView.Of)];

    /// <exception cref="MachineFaultException">The team has no such snapshot.</exception>
    public SnapshotView Get(Guid team, string id) => SnapshotView.Of(Read(team, id));

    /// <summary>Saves a machine and lets it go on.</summary>
    /// <exception cref="MachineFaultException">There is no such machine, it cannot be saved now, or the team keeps too many.</exception>
    /// <param name="parent">A snapshot of the team from which only what differs is kept; null for a whole one.</param>
    public async Task<SnapshotView> TakeAsync(Guid team, string machine, string? parent, CancellationToken cancellationToken)
    {
        // One after the other: each halts a machine for as long as it takes to copy its memory.
        await _taking.WaitAsync(cancellationToken);
        try
        {
            if (Read(team).Count >= MaxPerTeam)
                throw new MachineFaultException(MachineFault.Exhausted, $"Your team keeps {MaxPerTeam} snapshots, the most it may have. Remove one of them.");
            _ = Directory.CreateDirectory(FolderOf(team), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var basis = parent is null ? null : Read(team, parent).Folder;
            var id = RandomNumberGenerator.GetString(IdCharacters, IdLength);
            await machines.SnapshotAsync(team, machine, Path.Combine(FolderOf(team), id), basis, cancellationToken);
            return Get(team, id);
        }
        finally
        {
            _ = _taking.Release();
        }
    }

    /// <summary>Starts machines from a snapshot: all of them or none.</summary>
    /// <param name="count">From 1 to <see cref="MaxClones"/>.</param>
    /// <param name="name">Of the machines; with more than one each gets a number behind it. Null for the saved machine's.</param>
    /// <exception cref="MachineFaultException">There is no such snapshot, or not all could be started.</exception>
    public async Task<IReadOnlyList<Machine>> RestoreAsync(Guid team, string id, string? name, int count, CancellationToken cancellationToken)
    {
        var snapshot = Read(team, id);
        if (count is < 1 or > MaxClones)
            throw new MachineFaultException(MachineFault.Invalid, $"The count is {count}; it must be 1 to {MaxClones}.");
        name ??= snapshot.Spec.Name;
        if (!MachineRequestRules.IsMachineName(name, count))
            throw new MachineFaultException(MachineFault.Invalid, $"The name '{(name.Length <= 60 ? name : name[..60] + "…")}' is not 1 to 56 of a-z, 0-9 and '-'.");
        var starts = Enumerable.Range(1, count)
            .Select(number => machines.RestoreAsync(team, Path.Combine(FolderOf(team), id), count == 1 ? name : $"{name}-{number}", cancellationToken))
            .ToList();
        try
        {
            return await Task.WhenAll(starts);
        }
        catch
        {
            await Task.WhenAll(starts.Where(start => start.IsCompletedSuccessfully).Select(start => machines.StopAsync(team, start.Result.Id, TimeSpan.Zero, CancellationToken.None)));
            throw;
        }
    }

    /// <exception cref="MachineFaultException">The team has no such snapshot, or another one builds on it.</exception>
    public async Task RemoveAsync(Guid team, string id, CancellationToken cancellationToken)
    {
        // None that is being taken may build on it meanwhile.
        await _taking.WaitAsync(cancellationToken);
        try
        {
            var path = Read(team, id).Folder;
            if (Read(team).FirstOrDefault(other => other.Parent == path) is { } child)
                throw new MachineFaultException(MachineFault.WrongState, $"Snapshot {Path.GetFileName(child.Folder)} builds on {id} and could not be restored without it. Remove that one first.");
            // By another name first: what a crash leaves of it is no snapshot any more.
            Directory.Move(path, path + Going);
            Directory.Delete(path + Going, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            throw NotFound(id);
        }
        finally
        {
            _ = _taking.Release();
        }
    }

    /// <summary>Clears away what a crash left half made or half removed.</summary>
    public void Repair()
    {
        var all = options.InData("snapshots");
        if (!Directory.Exists(all))
            return;
        foreach (var path in Directory.EnumerateDirectories(all).SelectMany(Directory.EnumerateDirectories).Where(path => !IsId(Path.GetFileName(path))).ToList())
            Directory.Delete(path, recursive: true);
    }

    public void Dispose() => _taking.Dispose();

    private string FolderOf(Guid team) => options.InData("snapshots", team.ToString("N"));

    private static bool IsId(string? text) => text is { Length: IdLength } && text.All(IdCharacters.Contains);

    private List<MachineSnapshot> Read(Guid team) => Directory.Exists(FolderOf(team))
        ? [.. Directory.EnumerateDirectories(FolderOf(team)).Where(path => IsId(Path.GetFileName(path))).Select(TryRead).OfType<MachineSnapshot>().OrderBy(snapshot => snapshot.CreatedAt)]
        : [];

    /// <exception cref="MachineFaultException">The team has no such snapshot.</exception>
    private MachineSnapshot Read(Guid team, string id) => (IsId(id) ? TryRead(Path.Combine(FolderOf(team), id)) : null) ?? throw NotFound(id);

    private static MachineSnapshot? TryRead(string folder)
    {
        try
        {
            return MachineSnapshot.Read(folder);
        }
        catch (SnapshotException)
        {
            return null;
        }
    }

    private static MachineFaultException NotFound(string id) =>
        new(MachineFault.NotFound, $"There is no snapshot '{(id.Length <= 40 ? id : $"{id[..40]}…")}' in your team.");
}

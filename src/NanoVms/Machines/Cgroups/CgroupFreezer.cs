using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Machines.Cgroups;

/// <summary>Halts all processes of a machine's control group, and lets them go on.</summary>
internal sealed class CgroupFreezer
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(1);
    private readonly string _folder;
    private readonly bool _isVersion1;

    private CgroupFreezer(string folder, bool isVersion1) => (_folder, _isVersion1) = (folder, isVersion1);

    /// <summary>The group that a machine's process is in; null when it is in none of ours, or there is no freezer.</summary>
    public static CgroupFreezer? Of(int process)
    {
        if (CgroupLayout.OfThisComputer().Freezer is not { } root)
            return null;
        foreach (var line in ReadOrEmpty(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/cgroup")).Split('\n'))
        {
            // "number:controllers:path"; version 2 has no controllers there.
            var fields = line.Split(':', 3);
            if (fields.Length == 3 && fields[2].StartsWith(MachineCgroup.Root, StringComparison.Ordinal)
                && (root.Version == 1 ? fields[1].Split(',').Contains("freezer") : fields[1].Length == 0))
                return new CgroupFreezer(root.Path + fields[2], root.Version == 1);
        }

        return null;
    }

    /// <summary>Kills a process, and waits; also one that is halted, which version 1 would leave alone until it goes on.</summary>
    public static async Task KillAsync(ProcessIdentity process, TimeProvider time, CancellationToken cancellationToken)
    {
        process.Signal(9);
        if (process.IsAlive && Of(process.Id) is { IsFrozen: true } freezer)
            await freezer.SetAsync(false, time, cancellationToken);
        await process.KillAsync(time, cancellationToken);
    }

    public bool IsFrozen => _isVersion1
        ? ReadOrEmpty(State).Trim() is "FROZEN" or "FREEZING"
        : ReadOrEmpty(State).Trim() == "1";

    /// <summary>Returns when all processes have halted, or go on.</summary>
    /// <exception cref="IOException">The kernel refuses, or a process does not halt.</exception>
    public async Task SetAsync(bool frozen, TimeProvider time, CancellationToken cancellationToken)
    {
        var (word, done) = (_isVersion1, frozen) switch
        {
            (true, true) => ("FROZEN", "FROZEN"),
            (true, false) => ("THAWED", "THAWED"),
            (false, true) => ("1", "frozen 1"),
            (false, false) => ("0", "frozen 0"),
        };
        await File.WriteAllTextAsync(State, word, cancellationToken);
        var started = time.GetTimestamp();
        while (!ReadOrEmpty(_isVersion1 ? State : Path.Combine(_folder, "cgroup.events")).Split('\n').Contains(done))
        {
            if (time.GetElapsedTime(started) > Limit)
                throw new IOException($"The processes of {_folder} did not {(frozen ? "halt" : "go on")} in {Limit.TotalSeconds:0} seconds.");
            await Task.Delay(Poll, time, cancellationToken);
        }
    }

    private string State => Path.Combine(_folder, _isVersion1 ? "freezer.state" : "cgroup.freeze");

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}

using System.Globalization;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>
/// Stops all processes but the agent by the freezer of control groups (version 2), which no program can see or refuse.
/// Where there is none, processes run on.
/// </summary>
internal sealed class ProcessFreezer
{
    private const string Root = "/sys/fs/cgroup";
    private const string Own = Root + "/nanovms.frozen";
    private const int MaxRounds = 50;
    private const long LimitTicks = TimeSpan.TicksPerSecond;

    private readonly List<string> _frozen = [];

    /// <remarks>1. the groups that programs made themselves; 2. what is in the root group, which has no freezer, by moving it; 3. waiting.</remarks>
    public void Freeze()
    {
        if (!Files.Exists(Root + "/cgroup.procs"))
            return;
        if (!Files.Exists(Own) && !Files.TryMakeDirectory(Own))
            return;
        // 1. One that a program froze itself stays its business.
        foreach (var name in Files.List(Root))
        {
            var group = $"{Root}/{name}";
            if (Files.TryReadText(group + "/cgroup.freeze", 8).Trim() == "0" && Files.TryWrite(group + "/cgroup.freeze", "1"))
                _frozen.Add(group);
        }

        // 2. A process may start another while we look; a round that moves none ends it.
        var spared = Spared();
        for (var round = 0; round < MaxRounds && MoveAll(spared); round++)
        {
        }

        // 3. What sleeps in the kernel beyond reach is left behind: it does nothing either.
        var deadline = Clock.Uptime + LimitTicks;
        foreach (var group in _frozen)
        {
            while (!Files.TryReadText(group + "/cgroup.events", 256).Contains("frozen 1", StringComparison.Ordinal) && Clock.Uptime < deadline)
                _ = Libc.Sleep(1000);
        }
    }

    public void Thaw()
    {
        foreach (var group in _frozen)
            Files.TryWrite(group + "/cgroup.freeze", "0");
        _frozen.Clear();
    }

    private static bool MoveAll(HashSet<string> spared)
    {
        var moved = false;
        foreach (var process in Files.TryReadText(Root + "/cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (spared.Contains(process))
                continue;
            if (Files.TryWrite(Own + "/cgroup.procs", process))
                moved = true;
            else
                spared.Add(process);
        }

        return moved;
    }

    /// <summary>The agent, and the kernel's threads: the second process and its children. A container sees none of those.</summary>
    private static HashSet<string> Spared()
    {
        var spared = new HashSet<string> { Environment.ProcessId.ToString(CultureInfo.InvariantCulture) };
        if (Files.TryReadText("/proc/2/comm", 16).TrimEnd() != "kthreadd")
            return spared;
        spared.Add("2");
        foreach (var thread in Files.TryReadText("/proc/2/task/2/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            spared.Add(thread);
        return spared;
    }
}

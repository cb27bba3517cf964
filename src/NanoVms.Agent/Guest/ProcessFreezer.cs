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
    private const int KernelThread = 0x00200000;
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
        for (var round = 0; round < MaxRounds && MoveAll(); round++)
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

    private static bool MoveAll()
    {
        var moved = false;
        foreach (var line in Files.TryReadText(Root + "/cgroup.procs").Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (int.TryParse(line, out var pid) && pid != Environment.ProcessId && !IsKernelThread(pid))
                moved |= Files.TryWrite(Own + "/cgroup.procs", line);
        }

        return moved;
    }

    private static bool IsKernelThread(int pid)
    {
        // "pid (name) state parent group session terminal foreground flags …"; the name may hold anything.
        var text = Files.TryReadText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat"), 1024);
        var fields = text[(text.LastIndexOf(')') + 1)..].Split(' ', 9, StringSplitOptions.RemoveEmptyEntries);
        return fields.Length < 8 || !int.TryParse(fields[6], out var flags) || (flags & KernelThread) != 0;
    }
}

using NanoVms.Machines.Cgroups;

namespace NanoVms.Machines;

/// <summary>Why a hypervisor ended, where it does not know itself.</summary>
internal static class EndReason
{
    private const string Panic = "Kernel panic";

    /// <param name="console">The end of the guest's console.</param>
    /// <returns>Null when there is no better reason than its own.</returns>
    public static string? Find(MachineRecord record, MachineCgroup cgroup, string console)
    {
        if (cgroup.RanOutOfMemory())
            return $"The computer's kernel ended the hypervisor: it went over its memory limit for a guest of {record.Spec.MemoryMiB} MiB.";
        return console.IndexOf(Panic, StringComparison.Ordinal) is >= 0 and var start
            ? $"The guest's kernel panicked: {console[start..].Split('\n')[0]}"
            : null;
    }
}

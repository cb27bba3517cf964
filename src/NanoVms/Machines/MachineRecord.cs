using System.Text.Json.Serialization;
using NanoVms.Commands;
using NanoVms.Pci;

namespace NanoVms.Machines;

internal enum MachinePhase
{
    /// <summary>Between the folder's first write and the main process: after a crash it is an orphan and removed.</summary>
    Starting = 0,

    /// <summary>Adopted after a crash.</summary>
    Running = 1,

    /// <summary>The hypervisor is gone; kept for its reason until it is stopped.</summary>
    Ended = 2,

    /// <summary>Being removed: after a crash the removal goes on.</summary>
    Removing = 3,

    /// <summary>Asleep: what is in its folder is all of it. A process of it, after a crash, has not gone on yet and is ended.</summary>
    Suspended = 4,
}

/// <summary>What a machine's folder keeps in <c>machine.json</c>. Fields are only ever added.</summary>
internal sealed record MachineRecord
{
    public const string FileName = "machine.json";

    public int Version { get; init; } = 1;

    public required string Id { get; init; }

    public required MachineSpec Spec { get; init; }

    public required string Driver { get; init; }

    public bool Accelerated { get; init; }

    public MachinePhase Phase { get; init; }

    /// <summary>Place in the host's network, from which address, tap and user follow.</summary>
    public required int Place { get; init; }

    /// <summary>In private networks.</summary>
    public IReadOnlyList<CardRecord> Cards { get; init => field = value ?? []; } = [];

    /// <summary>Null until the hypervisor runs.</summary>
    public ProcessIdentity? Process { get; init; }

    /// <summary>Carries the machine's packets where there is no bridge; else null.</summary>
    public ProcessIdentity? Uplink { get; init; }

    public bool HasMain { get; init; }

    /// <summary>Whether the group resolves the machine's name; null for what the specification says.</summary>
    public bool? Announced { get; init; }

    public DateTimeOffset StartedAt { get; init; }

    /// <summary>When the limit of processor time begins; null before the main process started.</summary>
    public DateTimeOffset? BurstEndsAt { get; init; }

    public MachineTimings Timings { get; init; } = new(TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);

    /// <summary>PCI devices that are the machine's, written down before they are taken from the computer.</summary>
    public IReadOnlyList<PciLoan> PciLoans { get; init => field = value ?? []; } = [];

    /// <summary>Output of boots before this one: offsets go on where they were.</summary>
    public long OutputBefore { get; init; }

    /// <summary>How much it had written in all when it fell asleep.</summary>
    public long OutputAsleep { get; init; }

    /// <summary>True while a snapshot keeps the guest still, or it wakes: after a crash it is told to go on.</summary>
    public bool IsSaving { get; init; }

    /// <summary>True once somebody has asked for its end: after a crash that goes on.</summary>
    public bool IsStopping { get; init; }

    public string? FailureReason { get; init; }

    /// <summary>Why it was booted where it was to go on from what was saved; null when it was not.</summary>
    public string? BootedInstead { get; init; }

    /// <summary>How the main process or the machine ended, once that is known.</summary>
    public ProcessExit? Exit { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, WriteIndented = true)]
[JsonSerializable(typeof(MachineRecord))]
internal sealed partial class MachineJson : JsonSerializerContext;

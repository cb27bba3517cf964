using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;

namespace NanoVms.Commands;

/// <summary>
/// A process by its number and its start time, so that another process that got the number later is never taken for it.
/// </summary>
/// <param name="StartTicks">Clock ticks from the computer's boot to the start: field 22 of <c>/proc/PID/stat</c>.</param>
/// <param name="BootId">The computer's boot in which both hold.</param>
public sealed partial record ProcessIdentity(int Id, long StartTicks, string BootId)
{
    private const int NoHang = 1;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(5);
    private static readonly Lazy<string> CurrentBoot = new(() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim());

    /// <summary>Null when there is no such process, or only its exit code is left.</summary>
    public static ProcessIdentity? Of(int id) => ReadStartTicks(id) is { } ticks ? new ProcessIdentity(id, ticks, CurrentBoot.Value) : null;

    /// <summary>A child of this process that nobody has waited for, so that its number is its own even if it has ended.</summary>
    internal static ProcessIdentity OfChild(int id) => new(
        id,
        ReadStartTicks(id, alsoEnded: true) ?? throw new InvalidOperationException($"Process {id.ToString(CultureInfo.InvariantCulture)} is no child of this one."),
        CurrentBoot.Value);

    [JsonIgnore]
    public bool IsAlive => BootId == CurrentBoot.Value && ReadStartTicks(Id) == StartTicks;

    /// <summary>True when the computer was restarted since.</summary>
    [JsonIgnore]
    public bool IsOfEarlierBoot => BootId != CurrentBoot.Value;

    /// <summary>Sends a signal if the process is this one.</summary>
    public void Signal(int signal)
    {
        if (IsAlive)
            _ = SendSignal(Id, signal);
    }

    /// <summary>SIGKILL, and waits until the process is gone: what it held (taps, disks) is free then.</summary>
    public async Task KillAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        Signal(9);
        await WaitAsync(time, cancellationToken);
    }

    /// <summary>Returns when the process is gone, with its wait status when it was a child of this process.</summary>
    /// <remarks>
    /// A child whose first thread has ended looks dead while its other threads still tear its memory down, and cannot be reaped until they
    /// are done: a child is gone only when it was reaped.
    /// </remarks>
    public async Task<int?> WaitAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        int? status;
        while ((status = Reap(out var isChild)) is null && (isChild || IsAlive))
            await Task.Delay(Poll, time, cancellationToken);
        return status;
    }

    /// <summary>Collects the exit status of a child of this process, so that no zombie stays; null when it runs or is not a child.</summary>
    public int? Reap() => Reap(out _);

    private int? Reap(out bool isChild)
    {
        isChild = false;
        if (BootId != CurrentBoot.Value)
            return null;
        var result = WaitPid(Id, out var status, NoHang);
        isChild = result >= 0;
        return result == Id ? status : null;
    }

    /// <summary>"was killed by signal 9", "ended with exit code 1".</summary>
    public static string Describe(int waitStatus) => (waitStatus & 0x7f) == 0
        ? $"ended with exit code {((waitStatus >> 8) & 0xff).ToString(CultureInfo.InvariantCulture)}"
        : $"was killed by signal {(waitStatus & 0x7f).ToString(CultureInfo.InvariantCulture)}";

    private static long? ReadStartTicks(int id, bool alsoEnded = false)
    {
        string stat;
        try
        {
            stat = File.ReadAllText($"/proc/{id.ToString(CultureInfo.InvariantCulture)}/stat");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // "PID (NAME) STATE PPID …": the name may hold spaces and parentheses, so fields are counted from the last one.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return fields.Length > 19 && (alsoEnded || fields[0] is not ("Z" or "X")) ? long.Parse(fields[19], CultureInfo.InvariantCulture) : null;
    }

    /// <summary>kill(2): 0, or -1 when there is no such process.</summary>
    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);

    /// <summary>waitpid(2): the process, 0 when it runs, -1 when it is no child.</summary>
    [LibraryImport("libc", EntryPoint = "waitpid")]
    private static partial int WaitPid(int process, out int status, int options);
}

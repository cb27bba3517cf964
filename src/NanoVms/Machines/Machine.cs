using System.Net;
using System.Runtime.CompilerServices;
using NanoVms.Agent;
using NanoVms.Agent.Copies;
using NanoVms.Snapshots;

namespace NanoVms.Machines;

/// <summary>One machine. Thread safe.</summary>
public sealed class Machine
{
    private static readonly TimeSpan AgentLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ConsoleStep = TimeSpan.FromMilliseconds(200);
    private readonly MachineSleep _sleep;
    private readonly Action<MachineLife> _onChange;
    private volatile MachineLife _life;

    /// <param name="onChange">Told of the life that takes another one's place.</param>
    internal Machine(MachineLife life, MachineSleep sleep, Action<MachineLife> onChange) => (_life, _sleep, _onChange) = (life, sleep, onChange);

    /// <summary>Unique on this computer, also over time: 12 of <c>a-z 0-9</c>.</summary>
    public string Id => _life.Record.Id;

    public MachineSpec Spec => _life.Record.Spec;

    public MachineState State => _life.State;

    /// <summary>Its IPv4 address, that of <see cref="NetworkCard.Default"/> where it has one, or null without a network.</summary>
    public IPAddress? Address => _life.Cards.OrderByDescending(card => card.IsDefault).FirstOrDefault()?.Guest.Address;

    /// <summary>Its IPv4 addresses in the order of its networks.</summary>
    public IReadOnlyList<IPAddress> Addresses => [.. _life.Cards.Select(card => card.Guest.Address)];

    public string Driver => _life.Record.Driver;

    /// <summary>True when it runs at the hardware's speed.</summary>
    public bool Accelerated => _life.Record.Accelerated;

    public DateTimeOffset StartedAt => _life.Record.StartedAt;

    /// <summary>Why it is <see cref="MachineState.Failed"/>; null otherwise.</summary>
    public string? FailureReason => _life.Record.FailureReason;

    /// <summary>Why it was booted, with its disk, where it was to go on from what was saved: what of that is damaged. Null when it was not.</summary>
    public string? BootedInstead => _life.Record.BootedInstead;

    public MachineTimings Timings => _life.Record.Timings;

    /// <summary>The main process's end or the machine's, whichever is first. Completes once and never fails.</summary>
    public Task<ProcessExit> Exited => _life.Exited;

    /// <summary>
    /// The main process's output from an offset on, then live, until it has ended and all was read, or the machine is gone.
    /// The guest keeps the last MiB: a gap between offsets is output that is lost. Goes on by itself when the connection is lost.
    /// </summary>
    public async IAsyncEnumerable<OutputChunk> ReadOutputAsync(long fromOffset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var offset = fromOffset;
        // A machine that slept goes on where its output was.
        for (var life = _life; life is not null; life = await life.FindNextAsync().WaitAsync(cancellationToken))
        {
            await foreach (var chunk in ReadOutputAsync(life, offset, cancellationToken))
            {
                yield return chunk;
                offset = chunk.Offset + chunk.Data.Length;
            }
        }
    }

    private async IAsyncEnumerable<OutputChunk> ReadOutputAsync(MachineLife life, long fromOffset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reader = life.AddReader();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(life.Gone, cancellationToken);
        var offset = fromOffset;
        while (await ConnectForOutputAsync(life, either.Token, cancellationToken) is { } agent)
        {
            // A machine that was booted again has written before.
            var before = life.Record.OutputBefore;
            await using var chunks = agent.ReadMainOutputAsync(Math.Max(0, offset - before), either.Token).GetAsyncEnumerator(cancellationToken);
            bool? more;
            while ((more = await MoveAsync(life, chunks, cancellationToken)) == true)
            {
                var chunk = chunks.Current with { Offset = chunks.Current.Offset + before };
                yield return chunk;
                offset = chunk.Offset + chunk.Data.Length;
            }

            if (more == false)
                yield break;
        }
    }

    /// <summary>Runs a process in the guest beside the main one. Cancel kills it.</summary>
    /// <exception cref="MachineException">The machine ended, is paused, or its agent does not answer or refuses.</exception>
    public async Task<ProcessExit> RunAsync(ProcessSpec process, Action<OutputChunk>? onOutput, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(process);
        return await WithAgentAsync(agent => agent.RunAsync(process, onOutput, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Starts a process in the guest beside the main one, on a terminal or with input as the specification says. It lives no longer
    /// than the connection to the agent. That it could not be started shows in <see cref="GuestProcess.Exited"/>.
    /// </summary>
    /// <exception cref="MachineException">The machine ended, is paused, or its agent does not answer or is too old; also from the process's methods.</exception>
    public async Task<GuestProcess> ExecAsync(ProcessSpec process, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(process);
        return new GuestProcess(await WithAgentAsync(agent => agent.OpenExecAsync(process, cancellationToken), cancellationToken), Explain);
    }

    /// <summary>Joins the main process or another service: its output, and its input when it was started with one.</summary>
    /// <param name="fromOffset">Null for what comes from now on.</param>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>.</exception>
    public async Task<GuestProcess> AttachAsync(string service, long? fromOffset, CancellationToken cancellationToken) =>
        new(await WithAgentAsync(agent => agent.OpenAttachAsync(service, fromOffset, cancellationToken), cancellationToken), Explain);

    /// <summary>Starts a process that the guest keeps by name; again when one of that name has ended.</summary>
    /// <param name="name">1 to 32 of <c>a-z 0-9 -</c>, not <c>main</c>.</param>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or it runs already.</exception>
    public async Task StartServiceAsync(string name, ProcessSpec process, CancellationToken cancellationToken) =>
        _ = await WithAgentAsync(
            async agent =>
            {
                await agent.StartServiceAsync(name, process, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <summary>Sends a signal, 1 to 64, to a service and all of its session; <c>main</c> is the main process.</summary>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or there is none of that name.</exception>
    public async Task SignalServiceAsync(string name, int signal, CancellationToken cancellationToken) =>
        _ = await WithAgentAsync(
            async agent =>
            {
                await agent.SignalServiceAsync(name, signal, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>.</exception>
    public Task<IReadOnlyList<ServiceInfo>> GetServicesAsync(CancellationToken cancellationToken) =>
        WithAgentAsync(agent => agent.GetServicesAsync(cancellationToken), cancellationToken);

    /// <summary>A file or folder of the guest becomes one of the host, with modes and times, owned by this process's user.</summary>
    /// <param name="hostPath">Its folder must be there; files at it are replaced.</param>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or there is no such file, or the guest sends more or else than asked for.</exception>
    /// <exception cref="IOException">The host cannot write it.</exception>
    public async Task<CopyResult> CopyOutAsync(string guestPath, string hostPath, CopyLimits limits, CancellationToken cancellationToken) =>
        await (await FilesAsync(cancellationToken)).CopyOutAsync(guestPath, hostPath, limits, cancellationToken);

    /// <summary>An archive (tar) of a file or folder of the guest, as the guest makes it: trust nothing in it. Read it asynchronously.</summary>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>; also from reading, when there is no such file.</exception>
    public async Task<Stream> CopyOutAsync(string guestPath, CancellationToken cancellationToken) =>
        await (await FilesAsync(cancellationToken)).OpenAsync(guestPath, cancellationToken);

    /// <summary>A file or folder of the host becomes one of the guest, with modes and times. Folders above it are made.</summary>
    /// <param name="user">Owner in the guest, with <paramref name="group"/>.</param>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or the guest cannot write it.</exception>
    /// <exception cref="IOException">The host's files cannot be read.</exception>
    public async Task CopyInAsync(string hostPath, string guestPath, uint user, uint group, CancellationToken cancellationToken) =>
        await (await FilesAsync(cancellationToken)).CopyInAsync(hostPath, guestPath, user, group, cancellationToken);

    /// <summary>Lays an archive (tar: ustar, pax, GNU's long names) with its owners into a folder of the guest, which is made when it is missing.</summary>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or it is no archive, or the guest cannot write it.</exception>
    public async Task CopyInAsync(Stream archive, string guestFolder, CancellationToken cancellationToken) =>
        await (await FilesAsync(cancellationToken)).CopyInAsync(archive, guestFolder, cancellationToken);

    /// <summary>Takes the shared folders back as they are now; the machine goes on.</summary>
    /// <exception cref="MachineException">As of <see cref="ExecAsync"/>, or one of them holds more than it may; it is as before on the host.</exception>
    public async Task SyncAsync(CancellationToken cancellationToken)
    {
        ThrowIfUnreachable();
        await _life.Sharing.TakeBackAsync(cancellationToken);
    }

    /// <summary>
    /// What the guest's kernel and agent wrote to the console, from an offset on and then live, until the machine is gone. The first and the
    /// last 64 KiB are kept, as the guest wrote them: make them harmless before they are shown.
    /// </summary>
    public async IAsyncEnumerable<ConsoleChunk> ReadConsoleAsync(long fromOffset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var offset = fromOffset;
        var life = _life;
        while (true)
        {
            var isGone = life.Gone.IsCancellationRequested;
            if (await life.Console.ReadAsync(offset, cancellationToken) is { } chunk)
            {
                yield return chunk;
                offset = chunk.Next;
            }
            else if (isGone)
            {
                if (await life.FindNextAsync().WaitAsync(cancellationToken) is not { } next)
                    yield break;
                life = next;
            }
            else
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, life.Gone);
                await Task.Delay(ConsoleStep, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>A piece of what is kept of the console from an offset on; null when there is nothing.</summary>
    public Task<ConsoleChunk?> PeekConsoleAsync(long fromOffset, CancellationToken cancellationToken) => _life.Console.ReadAsync(fromOffset, cancellationToken);

    /// <exception cref="MachineException">The machine ended, is paused, or its agent does not answer.</exception>
    public Task<MachineStats> GetStatsAsync(CancellationToken cancellationToken) =>
        WithAgentAsync(agent => agent.GetStatsAsync(cancellationToken).WaitAsync(AgentLimit, cancellationToken), cancellationToken);

    /// <summary>Halts its processors; memory and connections stay.</summary>
    /// <exception cref="MachineException">The machine ended or its hypervisor does not answer.</exception>
    public Task PauseAsync(CancellationToken cancellationToken) => _life.PauseAsync(cancellationToken);

    /// <summary>Lets it run again, and sets its clock.</summary>
    /// <exception cref="MachineException">The machine ended or its hypervisor does not answer.</exception>
    public Task ResumeAsync(CancellationToken cancellationToken) => _life.ResumeAsync(cancellationToken);

    /// <summary>
    /// Puts it to sleep: its memory is saved into its own folder and its hypervisor ends. It keeps its id, addresses, disk and place among
    /// the host's machines, and takes neither memory nor processor; its ports answer nobody. A canceled or failed call leaves it running.
    /// Drives must stay as they are until it wakes.
    /// </summary>
    /// <exception cref="MachineException">It does not run, its driver or its agent cannot do this, or the disk has no room.</exception>
    public Task SuspendAsync(CancellationToken cancellationToken) => BecomeAsync(life => _sleep.SuspendAsync(life, cancellationToken));

    /// <summary>
    /// Wakes it: it goes on where it was, with the right time and fresh randomness. Does nothing when it runs. Canceled only while it waits
    /// its turn, as long as others boot.
    /// </summary>
    /// <param name="main">
    /// What is started if what was saved turns out to be damaged: the machine then boots with its disk as it was. Without it one that had a main process stays asleep.
    /// </param>
    /// <exception cref="MachineException">It did not wake, and sleeps on; or it has ended, if it failed only after it had begun to go on.</exception>
    public async Task WakeAsync(ProcessSpec? main, CancellationToken cancellationToken)
    {
        if (State == MachineState.Running)
            return;
        if (State != MachineState.Snapshotted)
            throw new MachineException($"Machine {Id} is {State}; only one that was suspended can be woken.");
        await BecomeAsync(life => _sleep.WakeAsync(life, main, cancellationToken));
        if (State == MachineState.Failed)
            throw new MachineException($"Machine {Id} has ended: {FailureReason}");
    }

    private async Task BecomeAsync(Func<MachineLife, Task<MachineLife>> change)
    {
        var life = _life;
        await life.BecomeAsync(async () =>
        {
            var next = await change(life);
            _onChange(next);
            _life = next;
            life.Retire();
            return next;
        });
    }

    /// <summary>
    /// Whether machines of its <see cref="MachineSpec.Group"/> resolve its <see cref="MachineSpec.GroupName"/>. They are told at once and
    /// asynchronously; what they looked up before stays with them.
    /// </summary>
    public void SetAnnounced(bool announced) => _life.Names.SetAnnounced(announced);

    /// <summary>
    /// Saves the machine into a new folder while it is still for a moment, and lets it go on. The folder appears whole or not at all,
    /// takes about as much room as the guest uses memory and disk, and stays when the machine goes.
    /// </summary>
    /// <exception cref="MachineException">It does not run, its driver or its agent cannot do this, the folder exists or has no room.</exception>
    public Task<MachineSnapshot> SnapshotAsync(string folder, CancellationToken cancellationToken) => SnapshotAsync(folder, null, cancellationToken);

    /// <summary>The same, but keeps only what differs from an earlier snapshot, which must stay beside it.</summary>
    /// <param name="parent">The folder of a snapshot in the same folder, of a machine with this driver and size of memory; null for a whole snapshot.</param>
    /// <exception cref="MachineException">As above, or nothing can build on the parent.</exception>
    public async Task<MachineSnapshot> SnapshotAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        await _life.SnapshotAsync(folder, parent, cancellationToken);
        return MachineSnapshot.Read(folder);
    }

    /// <summary>
    /// The stop signal (<see cref="MachineSpec.StopSignal"/>) to the main process, then, at its end or after the grace, removes the machine with all that belongs to it.
    /// Writable drives are unmounted first. A second call may shorten the grace. Canceling stops the waiting, not the stopping.
    /// </summary>
    public Task StopAsync(TimeSpan grace, CancellationToken cancellationToken) => _life.StopAsync(grace).WaitAsync(cancellationToken);

    private static async Task<AgentConnection?> ConnectForOutputAsync(MachineLife life, CancellationToken either, CancellationToken cancellationToken)
    {
        try
        {
            return await life.GetAgentAsync(either);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>False at the end, null when the connection was lost.</summary>
    private async Task<bool?> MoveAsync(MachineLife life, IAsyncEnumerator<OutputChunk> chunks, CancellationToken cancellationToken)
    {
        try
        {
            return await chunks.MoveNextAsync();
        }
        catch (AgentException e) when (e.IsTransient)
        {
            return null;
        }
        catch (OperationCanceledException) when (life.Gone.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
        catch (AgentException e)
        {
            throw new MachineException($"Machine {Id} does not give its output: {e.Message}", e);
        }
    }

    private async Task<T> WithAgentAsync<T>(Func<AgentConnection, Task<T>> action, CancellationToken cancellationToken)
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(_life.Gone, cancellationToken);
            limit.CancelAfter(AgentLimit);
            var agent = await GetAgentAsync(limit.Token, cancellationToken);
            return await action(agent);
        }
        catch (AgentException e)
        {
            // The agent is lost a moment before the machine's end is known, and that is the better reason.
            if (e.IsTransient)
                _ = await Task.WhenAny(_life.Ended, Task.Delay(EndLimit, cancellationToken));
            ThrowIfUnreachable();
            throw new MachineException($"Machine {Id}: {e.Message}", e) { IsTransient = e.IsTransient };
        }
        catch (TimeoutException e)
        {
            throw new MachineException($"Machine {Id}: its agent did not answer in {AgentLimit.TotalSeconds:0} seconds.", e) { IsTransient = true };
        }
    }

    private Task<GuestFiles> FilesAsync(CancellationToken cancellationToken) =>
        WithAgentAsync(agent => Task.FromResult(agent.Files(Explain)), cancellationToken);

    private MachineException Explain(AgentException failure) =>
        new(State == MachineState.Failed ? $"Machine {Id} has ended: {FailureReason}" : $"Machine {Id}: {failure.Message}", failure)
        { IsTransient = failure.IsTransient };

    private async Task<AgentConnection> GetAgentAsync(CancellationToken limit, CancellationToken cancellationToken)
    {
        ThrowIfUnreachable();
        try
        {
            return await _life.GetAgentAsync(limit);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            ThrowIfUnreachable();
            throw new MachineException($"Machine {Id}: its agent did not answer in {AgentLimit.TotalSeconds:0} seconds.", e) { IsTransient = true };
        }
    }

    private void ThrowIfUnreachable()
    {
        if (State == MachineState.Failed)
            throw new MachineException($"Machine {Id} has ended: {FailureReason}");
        if (State == MachineState.Paused)
            throw new MachineException($"Machine {Id} is paused; resume it first.") { IsTransient = true };
        if (State == MachineState.Snapshotted)
            throw new MachineException($"Machine {Id} is suspended; wake it first.") { IsTransient = true };
        if (_life.Gone.IsCancellationRequested)
            throw new MachineException($"Machine {Id} is gone.");
    }
}

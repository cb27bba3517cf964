using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using NanoVms.Agent.Copies;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>
/// The host's end of the channel to one guest's agent. Everything that comes from the guest is bounded and checked:
/// a guest that breaks the protocol loses its connection and nothing else happens.
/// </summary>
public sealed class AgentConnection : IAsyncDisposable
{
    // How much output may be on its way per stream. Twice what the guest's port buffers, so that it never runs dry.
    private const int Window = 256 * 1024;

    private const int Sigterm = 15;

    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ConfigureTime = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan FreezeTime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ShutdownGrace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan KillTime = TimeSpan.FromSeconds(5);

    private readonly FrameLink _link;

    private AgentConnection(FrameLink link, AgentInfo info) => (_link, Info) = (link, info);

    /// <summary>As it was when this connection was made.</summary>
    public AgentInfo Info { get; }

    /// <summary>Completes when the main process ends; fails with a transient <see cref="AgentException"/> when the connection ends first.</summary>
    public Task<ProcessExit> MainExited => _link.MainExited;

    /// <summary>Completes, never fails, when the stream ends or the guest broke the protocol.</summary>
    public Task Disconnected => _link.Ended;

    /// <summary>
    /// Greets the agent and waits for its answer, however long the guest takes to boot: cancel to give up.
    /// Bytes of an earlier connection that are still in the stream are skipped. The connection owns the stream, also when this fails.
    /// </summary>
    public static Task<AgentConnection> ConnectAsync(Stream stream, CancellationToken cancellationToken) =>
        ConnectAsync(stream, TimeProvider.System, cancellationToken);

    /// <inheritdoc cref="ConnectAsync(Stream, CancellationToken)"/>
    public static async Task<AgentConnection> ConnectAsync(Stream stream, TimeProvider time, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var link = new FrameLink(stream, time);
        try
        {
            return new AgentConnection(link, await link.GreetAsync(RandomNumberGenerator.GetBytes(Wire.TokenLength), cancellationToken));
        }
        catch
        {
            await link.DisposeAsync();
            throw;
        }
    }

    /// <summary>Once per boot.</summary>
    /// <exception cref="ArgumentException">A value cannot be applied; nothing was sent.</exception>
    /// <exception cref="AgentException">A step failed in the guest, which is of no use any more.</exception>
    public Task ConfigureAsync(GuestConfig config, CancellationToken cancellationToken)
    {
        RequestRules.Check(config);
        if (config.ReadOnlyRoot || config.BeforeShutdown.Count > 0)
            Require(2, "have a read-only root or hooks");
        return _link.AskAsync(
            FrameType.Configure,
            w =>
            {
                Messages.WriteConfig(w, config);
                if (Info.Protocol >= 2)
                    Messages.WriteConfigOfVersion2(w, config);
            },
            FrameType.Done,
            ConfigureTime,
            cancellationToken);
    }

    /// <summary>Once per boot. A program that is not there counts as one that ran and exited with 127, or 126 when it cannot be executed.</summary>
    public Task StartMainAsync(ProcessSpec spec, CancellationToken cancellationToken)
    {
        RequestRules.Check(spec);
        RequireFor(spec);
        return spec.NeedsProtocol2
            ? StartServiceAsync(Wire.MainService, spec, cancellationToken)
            : _link.AskAsync(FrameType.StartMain, w => Messages.WriteSpec(w, spec), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>Sends a signal to the main process and all of its session. No error when it ended already.</summary>
    public Task SignalMainAsync(int signal, CancellationToken cancellationToken)
    {
        RequestRules.CheckSignal(signal);
        return _link.AskAsync(FrameType.SignalMain, w => w.Int32(signal), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>
    /// The main process's output from an offset on, then live, until it has ended and all was read. The guest keeps the last MiB:
    /// a first <see cref="OutputChunk.Offset"/> past <paramref name="fromOffset"/>, or a gap between chunks, is output that is lost.
    /// </summary>
    /// <exception cref="AgentException">The offset is past the end, or the connection ended.</exception>
    public async IAsyncEnumerable<OutputChunk> ReadMainOutputAsync(
        long fromOffset, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(fromOffset);
        await using var output = new OutputRequest(_link, new OutputAnswer(FrameType.End, fromOffset, mayLose: true, Window), answersCancel: false, Window);
        await output.OpenAsync(FrameType.ReadMain, w => w.Int64(fromOffset).UInt32(Window), cancellationToken);
        await foreach (var chunk in output.ReadAsync(cancellationToken))
            yield return chunk;
    }

    /// <summary>
    /// Runs a process beside the main one. <paramref name="onOutput"/> is called by one thread at a time; while it is busy the process
    /// waits. What the process leaves running in its session is killed when it ends.
    /// </summary>
    /// <exception cref="OperationCanceledException">Canceled: the process and its session were killed.</exception>
    /// <exception cref="AgentException">It could not be started, or the connection ended, which kills it too.</exception>
    public async Task<ProcessExit> RunAsync(ProcessSpec spec, Action<OutputChunk>? onOutput, CancellationToken cancellationToken)
    {
        RequestRules.Check(spec);
        if (spec.HasInput)
            throw new ArgumentException("The process would wait for input that nobody can write: use ExecAsync.", nameof(spec));
        RequireFor(spec);
        await using var output = new OutputRequest(
            _link, new OutputAnswer(FrameType.Exited, 0, mayLose: false, Window, new InputGate()), answersCancel: true, Window);
        await output.OpenAsync(spec.NeedsProtocol2 ? FrameType.Exec : FrameType.Run, w => WriteRun(w, spec, spec.NeedsProtocol2), cancellationToken);
        try
        {
            await foreach (var chunk in output.ReadAsync(cancellationToken))
                onOutput?.Invoke(chunk);
            return _link.Parse(await output.Last, RequestRules.ReadExit);
        }
        catch (Exception failure) when (failure is not AgentException)
        {
            await output.CancelAsync(KillTime);
            throw;
        }
    }

    /// <summary>
    /// Starts a process beside the main one, with its input if the specification says so. It lives no longer than this connection.
    /// That it could not be started shows in <see cref="GuestProcess.Exited"/>.
    /// </summary>
    public async Task<GuestProcess> ExecAsync(ProcessSpec spec, CancellationToken cancellationToken) =>
        new(await OpenExecAsync(spec, cancellationToken), failure => failure);

    /// <summary>Starts a process that the agent keeps by name, beyond this connection; again when one of that name has ended.</summary>
    /// <param name="name">1 to 32 of <c>a-z 0-9 -</c>; <c>main</c> is the main process.</param>
    /// <exception cref="AgentException">It runs already, could not be started, or the agent is too old.</exception>
    public Task StartServiceAsync(string name, ProcessSpec spec, CancellationToken cancellationToken)
    {
        RequestRules.CheckServiceName(name);
        RequestRules.Check(spec);
        Require(2, "run several services");
        return _link.AskAsync(
            FrameType.StartService,
            w =>
            {
                w.Text(name);
                Messages.WriteWholeSpec(w, spec);
            },
            FrameType.Done,
            AnswerTime,
            cancellationToken);
    }

    /// <summary>Sends a signal, 1 to 64, to a service and all of its session. No error when it ended already.</summary>
    public Task SignalServiceAsync(string name, int signal, CancellationToken cancellationToken)
    {
        RequestRules.CheckServiceName(name);
        RequestRules.CheckSignal(signal);
        Require(2, "run several services");
        return _link.AskAsync(FrameType.SignalService, w => w.Text(name).Int32(signal), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>The services that were started in this boot, the main one first.</summary>
    public async Task<IReadOnlyList<ServiceInfo>> GetServicesAsync(CancellationToken cancellationToken)
    {
        Require(2, "list its services");
        var reply = await _link.AskAsync(FrameType.ListServices, _ => { }, FrameType.ServicesReply, AnswerTime, cancellationToken);
        return _link.Parse(reply, Messages.ReadServices);
    }

    /// <summary>Joins a service: its output from an offset on, and its input when it was started with one. Several may do so at once.</summary>
    /// <param name="name"><c>main</c> for the main process.</param>
    /// <param name="fromOffset">Null for what comes from now on. The guest keeps the last MiB of the main process, 128 KiB of others.</param>
    public async Task<GuestProcess> AttachAsync(string name, long? fromOffset, CancellationToken cancellationToken) =>
        new(await OpenAttachAsync(name, fromOffset, cancellationToken), failure => failure);

    public async Task<MachineStats> GetStatsAsync(CancellationToken cancellationToken)
    {
        var reply = await _link.AskAsync(FrameType.Stats, _ => { }, FrameType.StatsReply, AnswerTime, cancellationToken);
        return _link.Parse(reply, Messages.ReadStats);
    }

    /// <summary>Sets the guest's clock and reseeds its randomness: after a pause or a restore.</summary>
    /// <param name="randomSeed">16 to 512 bytes.</param>
    public Task SynchronizeAsync(DateTimeOffset utcNow, ReadOnlyMemory<byte> randomSeed, CancellationToken cancellationToken)
    {
        RequestRules.CheckSeed(randomSeed, nameof(randomSeed));
        return _link.AskAsync(
            FrameType.Synchronize, w => w.Time(utcNow).Bytes(randomSeed.Span), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>
    /// Makes the guest still for a snapshot: its processes stop, what they wrote is on the disks, and the writable file systems are
    /// consistent and take no more. Only then is a copy of memory and disks one moment of the guest.
    /// </summary>
    /// <param name="limit">1 s to 1 h of the guest's time, after which it goes on by itself whatever became of the host; a restored
    /// guest counts on from where the snapshot was taken.</param>
    /// <exception cref="AgentException">It cannot be frozen (it goes on), or its agent is too old for it.</exception>
    public Task FreezeAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, TimeSpan.FromSeconds(1));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, TimeSpan.FromHours(1));
        Require(2, "be frozen for a snapshot");
        return _link.AskAsync(FrameType.Freeze, w => w.Duration(limit), FrameType.Done, FreezeTime, cancellationToken);
    }

    /// <summary>
    /// Lets a frozen guest go on: sets its clock, reseeds its randomness, gives it another identity where asked, and only then
    /// lets its processes run. Also for a guest that was restored without having been frozen.
    /// </summary>
    /// <exception cref="ArgumentException">A value cannot be applied; nothing was sent.</exception>
    /// <exception cref="AgentException">A step failed; the processes are still frozen and it can be tried again until the limit of
    /// <see cref="FreezeAsync"/>. Or the agent is too old for it.</exception>
    public Task ThawAsync(ThawConfig config, CancellationToken cancellationToken)
    {
        RequestRules.Check(config);
        Require(2, "be thawed");
        return _link.AskAsync(FrameType.Thaw, w => Messages.WriteThaw(w, config), FrameType.Done, FreezeTime, cancellationToken);
    }

    /// <summary>Replaces the names that the guest knows beside <see cref="GuestConfig.Hosts"/>. Programs that ask from then on see all of them.</summary>
    /// <param name="names">At most 2000.</param>
    /// <exception cref="ArgumentException">A name cannot be applied; nothing was sent.</exception>
    /// <exception cref="AgentException">The guest is frozen, its files cannot be written, or its agent is too old for it.</exception>
    public Task SetNamesAsync(IReadOnlyList<GuestName> names, CancellationToken cancellationToken)
    {
        RequestRules.Check(names);
        Require(2, "be told the names of others");
        return _link.AskAsync(FrameType.Names, w => Messages.WriteNames(w, names), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>
    /// Says what the network cards beside the first are: before <see cref="ConfigureAsync"/>, which sets them up and names all by their MAC
    /// addresses, and again after a thaw, with other addresses.
    /// </summary>
    /// <param name="forwards">True makes the guest a router between its cards.</param>
    /// <exception cref="ArgumentException">A value cannot be applied; nothing was sent.</exception>
    /// <exception cref="AgentException">A card is not there, or the agent is too old for it.</exception>
    public Task SetCardsAsync(IReadOnlyList<GuestCard> cards, bool forwards, CancellationToken cancellationToken)
    {
        RequestRules.Check(cards);
        Require(2, "have several network cards");
        return _link.AskAsync(FrameType.Cards, w => Messages.WriteCards(w, cards, forwards), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <summary>
    /// Shuts the guest down in order: hooks, SIGTERM to the main process, then to all others, SIGKILL, disks written out, power off.
    /// Returns when the agent has taken the order; the main process and the hooks can be followed meanwhile. A second order skips
    /// what is left of hooks and grace.
    /// </summary>
    /// <param name="grace">Up to 1 h that the main process has between SIGTERM and SIGKILL. Agents of protocol 1 give 2 s, whatever it says.</param>
    public Task ShutdownAsync(TimeSpan grace, CancellationToken cancellationToken) => ShutdownAsync(grace, Sigterm, cancellationToken);

    /// <inheritdoc cref="ShutdownAsync(TimeSpan, CancellationToken)"/>
    /// <param name="signal">In place of SIGTERM to the main process, 1 to 64. An agent that is too old for it sends SIGTERM.</param>
    public Task ShutdownAsync(TimeSpan grace, int signal, CancellationToken cancellationToken)
    {
        RequestRules.CheckSignal(signal);
        ArgumentOutOfRangeException.ThrowIfLessThan(grace, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(grace, TimeSpan.FromHours(1));
        return _link.AskAsync(FrameType.Shutdown, w => WriteShutdown(w, grace, signal), FrameType.Done, AnswerTime, cancellationToken);
    }

    /// <inheritdoc cref="ShutdownAsync(TimeSpan, CancellationToken)"/>
    public Task ShutdownAsync(CancellationToken cancellationToken) => ShutdownAsync(ShutdownGrace, cancellationToken);

    /// <summary>Closes the stream. The guest goes on; processes of <see cref="RunAsync"/> are killed.</summary>
    public ValueTask DisposeAsync() => _link.DisposeAsync();

    /// <summary>An archive (tar) of a file or folder of the guest, as the guest makes it: trust nothing in it.</summary>
    /// <exception cref="AgentException">The connection ended, or the agent is too old; also from reading, when there is no such file.</exception>
    public Task<Stream> CopyOutAsync(string guestPath, CancellationToken cancellationToken) => Files(null).OpenAsync(guestPath, cancellationToken);

    /// <summary>Lays an archive (tar: ustar, pax, GNU's long names) into a folder of the guest, which is made when it is missing.</summary>
    public Task CopyInAsync(Stream archive, string guestFolder, CancellationToken cancellationToken) =>
        Files(null).CopyInAsync(archive, guestFolder, cancellationToken);

    /// <param name="explain">Null for the agent's own kind of failures.</param>
    internal GuestFiles Files(Func<AgentException, Exception>? explain)
    {
        Require(2, "copy files");
        return new GuestFiles(_link, explain ?? (failure => failure));
    }

    internal async Task<StreamRequest> OpenExecAsync(ProcessSpec spec, CancellationToken cancellationToken)
    {
        RequestRules.Check(spec);
        Require(2, "run a process with input");
        var request = new StreamRequest(_link, FrameType.Exited, mayLose: false, answersCancel: true, Window);
        await request.OpenAsync(FrameType.Exec, w => WriteRun(w, spec, whole: true), cancellationToken);
        return request;
    }

    internal async Task<StreamRequest> OpenAttachAsync(string name, long? fromOffset, CancellationToken cancellationToken)
    {
        RequestRules.CheckServiceName(name);
        if (fromOffset is { } offset)
            ArgumentOutOfRangeException.ThrowIfNegative(offset, nameof(fromOffset));
        Require(2, "be attached to");
        var request = new StreamRequest(_link, FrameType.Exited, mayLose: true, answersCancel: false, Window);
        await request.OpenAsync(FrameType.Attach, w => w.Text(name).Int64(fromOffset ?? -1).UInt32(Window), cancellationToken);
        return request;
    }

    private static void WriteShutdown(WireWriter writer, TimeSpan grace, int signal)
    {
        writer.Duration(grace);
        // Agents read as much as they know, so this needs no version.
        if (signal != Sigterm)
            writer.Int32(signal);
    }

    private static void WriteRun(WireWriter writer, ProcessSpec spec, bool whole)
    {
        if (whole)
            Messages.WriteWholeSpec(writer, spec);
        else
            Messages.WriteSpec(writer, spec);
        writer.UInt32(Window);
    }

    private void RequireFor(ProcessSpec spec)
    {
        if (spec.NeedsProtocol2)
            Require(2, "run a process with a terminal, input, limits or an account by name");
    }

    /// <summary>A machine keeps the agent it was started with, which may be older than this host.</summary>
    private void Require(int protocol, string what)
    {
        if (Info.Protocol < protocol)
            throw new AgentException($"The machine runs an older agent (protocol {Info.Protocol}, this needs {protocol}), so it cannot {what}: start the machine anew.");
    }
}

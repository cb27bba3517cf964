using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>
/// The host's end of the channel to one guest's agent. Everything that comes from the guest is bounded and checked:
/// a guest that breaks the protocol loses its connection and nothing else happens.
/// </summary>
public sealed class AgentConnection : IAsyncDisposable
{
    private AgentConnection(AgentInfo info) => Info = info;

    /// <summary>As it was when this connection was made.</summary>
    public AgentInfo Info { get; }

    /// <summary>Completes when the main process ends; fails with a transient <see cref="AgentException"/> when the connection ends first.</summary>
    public Task<ProcessExit> MainExited => throw new NotSupportedException();

    /// <summary>Completes, never fails, when the stream ends or the guest broke the protocol.</summary>
    public Task Disconnected => throw new NotSupportedException();

    /// <summary>
    /// Greets the agent and waits for its answer, however long the guest takes to boot: cancel to give up.
    /// Bytes of an earlier connection that are still in the stream are skipped. The connection owns the stream, also when this fails.
    /// </summary>
    public static Task<AgentConnection> ConnectAsync(Stream stream, CancellationToken cancellationToken) =>
        ConnectAsync(stream, TimeProvider.System, cancellationToken);

    /// <inheritdoc cref="ConnectAsync(Stream, CancellationToken)"/>
    public static Task<AgentConnection> ConnectAsync(Stream stream, TimeProvider time, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Once per boot.</summary>
    public Task ConfigureAsync(GuestConfig config, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Once per boot.</summary>
    public Task StartMainAsync(ProcessSpec spec, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Sends a signal to the main process and all of its session. No error when it ended already.</summary>
    public Task SignalMainAsync(int signal, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>
    /// The main process's output from an offset on, then live, until it has ended and all was read. The guest keeps the last MiB:
    /// a first <see cref="OutputChunk.Offset"/> past <paramref name="fromOffset"/>, or a gap between chunks, is output that is lost.
    /// </summary>
    public IAsyncEnumerable<OutputChunk> ReadMainOutputAsync(long fromOffset, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Runs a process beside the main one. Cancel kills it. <paramref name="onOutput"/> is called by one thread at a time; while it is busy the process waits.</summary>
    public Task<ProcessExit> RunAsync(ProcessSpec spec, Action<OutputChunk>? onOutput, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<MachineStats> GetStatsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Sets the guest's clock and reseeds its randomness: after a pause or a restore.</summary>
    /// <param name="randomSeed">16 to 512 bytes.</param>
    public Task SynchronizeAsync(DateTimeOffset utcNow, ReadOnlyMemory<byte> randomSeed, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Ends every process, writes disks out and powers the guest off. Returns when the agent has taken the order.</summary>
    public Task ShutdownAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}

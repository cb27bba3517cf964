using System.Runtime.CompilerServices;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;

namespace NanoVms.Machines;

/// <summary>
/// A process in a guest, seen from outside: its output, its input and its end. Thread safe, but for one reader of the output.
/// While nobody reads the output the process waits, once some 256 KiB are on their way.
/// </summary>
public sealed class GuestProcess : IAsyncDisposable
{
    private readonly StreamRequest _request;
    private readonly Func<AgentException, Exception> _explain;

    /// <param name="explain">Turns a failure of the agent into the caller's kind.</param>
    internal GuestProcess(StreamRequest request, Func<AgentException, Exception> explain)
    {
        (_request, _explain) = (request, explain);
        Exited = FollowAsync();
        // Nobody need wait for it.
        _ = Exited.ContinueWith(static task => _ = task.Exception, TaskScheduler.Default);
    }

    /// <summary>
    /// How it ended; known once all output before was read or dropped. Fails when it could not be started, when the connection was
    /// lost (which kills a process that was started by this connection), or when this was disposed first.
    /// </summary>
    public Task<ProcessExit> Exited { get; }

    /// <summary>What it writes, to its end. Once.</summary>
    public async IAsyncEnumerable<OutputChunk> ReadOutputAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var chunks = _request.ReadAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await GuardAsync(() => chunks.MoveNextAsync().AsTask()))
            yield return chunks.Current;
    }

    /// <summary>Writes to its input, or types on its terminal. Waits while the process does not read.</summary>
    /// <returns>False when the process has ended and takes no more.</returns>
    public Task<bool> WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        GuardAsync(() => _request.WriteAsync(data, cancellationToken));

    /// <summary>The end of its input, after all that was written; on a terminal what Ctrl-D does.</summary>
    public Task CloseInputAsync(CancellationToken cancellationToken) => GuardAsync(async () =>
    {
        await _request.EndInputAsync(cancellationToken);
        return true;
    });

    /// <summary>Tells it that its terminal has another size. One without a terminal is ended by this, as a misuse.</summary>
    public Task ResizeAsync(TerminalSize size, CancellationToken cancellationToken)
    {
        RequestRules.Check(size);
        return SendAsync(FrameType.Resize, w => Messages.WriteSize(w, size), cancellationToken);
    }

    /// <summary>Sends a signal, 1 to 64, to it and all of its session.</summary>
    public Task SignalAsync(int signal, CancellationToken cancellationToken)
    {
        RequestRules.CheckSignal(signal);
        return SendAsync(FrameType.Signal, w => w.Int32(signal), cancellationToken);
    }

    /// <summary>Kills a process that was started by this connection; lets go of one that was attached to.</summary>
    public ValueTask DisposeAsync() => _request.DisposeAsync();

    private async Task SendAsync(FrameType type, Action<WireWriter> write, CancellationToken cancellationToken) =>
        _ = await GuardAsync(async () =>
        {
            await _request.SendAsync(type, write, cancellationToken);
            return true;
        });

    private Task<ProcessExit> FollowAsync() => GuardAsync(() => _request.ReadLastAsync(RequestRules.ReadExit));

    private async Task<T> GuardAsync<T>(Func<Task<T>> action)
    {
        try
        {
            return await action();
        }
        catch (AgentException failure)
        {
            throw _explain(failure);
        }
    }
}

using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using NanoVms.Agent;
using NanoVms.Drivers;

namespace NanoVms.Machines;

/// <summary>
/// Keeps a connection to a machine's agent: connects, and connects again whenever it is lost, until it is disposed.
/// A machine that is paused or still booting simply takes longer to answer.
/// </summary>
internal sealed class AgentLink : IAsyncDisposable
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);
    private readonly string _machine;
    private readonly IHypervisor _hypervisor;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly Task _keeping;
    private TaskCompletionSource<AgentConnection> _current = New();

    public AgentLink(string machine, IHypervisor hypervisor, ILogger logger, TimeProvider time)
    {
        _machine = machine;
        _hypervisor = hypervisor;
        _logger = logger;
        _time = time;
        _keeping = KeepAsync(_stop.Token);
    }

    /// <summary>The connection, once there is one.</summary>
    /// <exception cref="OperationCanceledException">Canceled, or disposed.</exception>
    public Task<AgentConnection> GetAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return _current.Task.WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _keeping;
    }

    private static TaskCompletionSource<AgentConnection> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task KeepAsync(CancellationToken cancellationToken)
    {
        var delay = Shortest;
        try
        {
            while (true)
            {
                try
                {
                    var stream = await _hypervisor.ConnectAgentAsync(cancellationToken);
                    await using var connection = await AgentConnection.ConnectAsync(stream, _time, cancellationToken);
                    delay = Shortest;
                    lock (_gate)
                        _ = _current.TrySetResult(connection);
                    await connection.Disconnected.WaitAsync(cancellationToken);
                    Log.AgentLost(_logger, _machine);
                }
                catch (Exception e) when (e is SocketException or IOException or AgentException)
                {
                    Log.AgentUnreachable(_logger, _machine, e.Message);
                }

                lock (_gate)
                {
                    if (_current.Task.IsCompleted)
                        _current = New();
                }

                await Task.Delay(delay, _time, cancellationToken);
                delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, Longest.Ticks));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            lock (_gate)
            {
                if (_current.Task.IsCompleted)
                    _current = New();
                _ = _current.TrySetCanceled(cancellationToken);
            }
        }
    }
}

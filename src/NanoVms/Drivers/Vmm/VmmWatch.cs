using System.Net.Sockets;
using NanoVms.Commands;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// Notices the end of a hypervisor at once and at no cost: by a connection to its interface that nothing is sent on. A process that
/// another one started cannot be waited for, and asking for it again and again would keep a computer with many machines busy.
/// </summary>
internal sealed class VmmWatch : IAsyncDisposable
{
    private static readonly TimeSpan DyingLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(500);
    private readonly string _folder;
    private readonly string _socket;
    private readonly ProcessIdentity _process;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _watching = Task.CompletedTask;

    public VmmWatch(string folder, string socket, ProcessIdentity process, TimeProvider time)
    {
        _folder = folder;
        _socket = socket;
        _process = process;
        _time = time;
    }

    /// <summary>Completes once, never fails. Why: one sentence without a subject's name.</summary>
    public Task<string> Ended => _ended.Task;

    public void Start() => _watching = WatchAsync(_stop.Token);

    public void GiveUp(string reason) => _ = _ended.TrySetResult(reason);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await HoldAsync(cancellationToken);
                if (await DiedAsync(cancellationToken) is { } reason)
                {
                    _ = _ended.TrySetResult(reason);
                    return;
                }

                await Task.Delay(Retry, _time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Let go.
        }
    }

    /// <summary>Returns when the connection ends or there is none.</summary>
    private async Task HoldAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await UnixSockets.ConnectAsync(_folder, _socket, cancellationToken);
            // Nothing was asked, so whatever comes is no answer and ends this as well.
            _ = await stream.ReadAsync(new byte[1], cancellationToken);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // Ended, or does not listen: the process itself is looked at next.
        }
    }

    /// <summary>Null when the process lives on.</summary>
    private async Task<string?> DiedAsync(CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(DyingLimit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return await _process.WaitAsync(_time, either.Token) switch
            {
                0 => "The guest ended itself, or its kernel panicked.",
                { } status => $"The hypervisor {ProcessIdentity.Describe(status)}.",
                null => "The hypervisor's process is gone.",
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}

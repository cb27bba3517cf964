namespace NanoVms.Machines;

/// <summary>Tells somebody what a starting guest writes to its console.</summary>
internal sealed class MachineConsoleFeed : IAsyncDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);
    private readonly CancellationTokenSource _stop = new();
    private readonly MachineConsole _console;
    private readonly Action<ConsoleChunk> _told;
    private readonly Task _feeding;
    private long _next;

    public MachineConsoleFeed(MachineConsole console, Action<ConsoleChunk> told, TimeProvider time)
    {
        _console = console;
        _told = told;
        _feeding = FeedAsync(time);
    }

    /// <summary>Tells what is left first.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _feeding;
        await TellAsync();
        _stop.Dispose();
    }

    private async Task FeedAsync(TimeProvider time)
    {
        try
        {
            while (true)
            {
                await TellAsync();
                await Task.Delay(Step, time, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // It is up, or will not be.
        }
    }

    private async Task TellAsync()
    {
        while (await _console.ReadAsync(_next, CancellationToken.None) is { } chunk)
        {
            _next = chunk.Next;
            _told(chunk);
        }
    }
}

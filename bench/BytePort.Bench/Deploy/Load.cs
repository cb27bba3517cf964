namespace BytePort.Bench.Deploy;

/// <summary>Requests without a pause on a few connections, each counted.</summary>
internal sealed class Load : IAsyncDisposable
{
    private const int Connections = 4;

    private readonly CancellationTokenSource _stop = new();
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly Task _running;
    private long _requests;
    private long _failed;

    public Load(string host, int port)
    {
        _client.DefaultRequestHeaders.Host = host;
        var address = new Uri($"http://127.0.0.1:{port}/");
        _running = Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Task.Run(() => RunAsync(address))));
    }

    public async Task<(long Requests, long Failed)> StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
        return (_requests, _failed);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync(Uri address)
    {
        while (!_stop.IsCancellationRequested)
        {
            Interlocked.Increment(ref _requests);
            try
            {
                using var answer = await _client.GetAsync(address);
                if (!answer.IsSuccessStatusCode)
                    Interlocked.Increment(ref _failed);
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                Interlocked.Increment(ref _failed);
            }

            // Load, not a flood: the release that starts beside needs a processor too.
            await Task.Delay(5);
        }
    }
}

using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Logs;

/// <summary>Follows a log that is sent as events, over broken connections.</summary>
internal static class LogStream
{
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Ends when the server says that nothing more will come; what may always be written to never does.</summary>
    public static async Task FollowAsync(CliHost host, ApiClient client, string path, Action<LogLine> show, CancellationToken cancellationToken)
    {
        string? last = null;
        var connected = false;
        var told = false;
        while (true)
        {
            try
            {
                await foreach (var item in client.ReadEventsAsync(path, last, Silence, cancellationToken))
                {
                    if (item.EventType == "end")
                        return;
                    if (item.EventType != "log" || JsonSerializer.Deserialize(item.Data, ApiJson.Default.LogLine) is not { } line)
                        continue;
                    last = item.EventId is { Length: > 0 } id ? id : last;
                    show(line);
                }

                connected = true;
                told = false;
            }
            catch (ApiException exception) when (exception.IsTransient && (connected || last is not null))
            {
                if (!told)
                    host.Note($"byteport: {exception.Message} Trying again.");
                told = true;
            }

            await Task.Delay(Pause, host.Time, cancellationToken);
        }
    }
}

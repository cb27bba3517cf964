using System.Globalization;
using System.Text.Json;
using BytePort.Cli.Api;

namespace BytePort.Cli.Deployments;

/// <summary>Follows a deployment to its end: its log and its status, over lost connections and restarts of the server.</summary>
internal sealed class DeploymentFollower(ApiClient client, TimeProvider time)
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    /// <summary>How long the server may be away.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <param name="deployment">What is known of it.</param>
    /// <param name="onLine">Takes each line of the log once.</param>
    /// <param name="onChange">Takes the deployment each time that its status or a step changes.</param>
    /// <param name="cancellationToken">Stops following; the deployment goes on.</param>
    /// <returns>The deployment as it ended.</returns>
    /// <exception cref="ApiException">The server refused, or was away for too long.</exception>
    public async Task<Deployment> FollowAsync(
        Deployment deployment, Action<LogLine> onLine, Action<Deployment> onChange, CancellationToken cancellationToken)
    {
        var path = ApiClient.PathOf(deployment.Project, deployment.Number);
        string? last = null;
        var pause = TimeSpan.Zero;
        var lastContact = time.GetTimestamp();
        while (true)
        {
            try
            {
                await foreach (var item in client.ReadEventsAsync($"{path}/logs", last, Silence, cancellationToken))
                {
                    lastContact = time.GetTimestamp();
                    pause = TimeSpan.Zero;
                    if (item.EventType == "log" && JsonSerializer.Deserialize(item.Data, ApiJson.Default.LogLine) is { } line && IsNew(line, last))
                    {
                        last = item.EventId is { Length: > 0 } id ? id : line.Offset.ToString(CultureInfo.InvariantCulture);
                        onLine(line);
                    }
                    else if (item.EventType == "deployment" && JsonSerializer.Deserialize(item.Data, ApiJson.Default.Deployment) is { } changed)
                        onChange(changed);
                    else if (item.EventType == "end")
                        break;
                }

                var now = await client.GetAsync(path, ApiJson.Default.Deployment, cancellationToken);
                if (now.IsFinished)
                    return now;
                lastContact = time.GetTimestamp();
            }
            catch (ApiException exception) when (exception.IsTransient && time.GetElapsedTime(lastContact) < Patience)
            {
                // The server restarts or the line broke: the stream goes on behind the last event.
            }
            catch (JsonException exception)
            {
                throw new ApiException("The server sent an event that is not BytePort's.", System.Net.HttpStatusCode.OK, inner: exception);
            }

            pause = Min(LongestPause, pause == TimeSpan.Zero ? TimeSpan.FromMilliseconds(200) : pause * 2);
            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary>Offsets only grow, so a line that a reconnect repeats is known by its offset.</summary>
    private static bool IsNew(LogLine line, string? last) =>
        !long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var seen) || line.Offset > seen;

    private static TimeSpan Min(TimeSpan first, TimeSpan second) => first < second ? first : second;
}

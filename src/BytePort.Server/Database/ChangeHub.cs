using System.Collections.Concurrent;
using Npgsql;

namespace BytePort.Server.Database;

/// <summary>Wakes whoever waits for a thing to change: log readers, the deployment worker, the reconciler.</summary>
/// <remarks>
/// Changes are announced by PostgreSQL's NOTIFY, so that every process on the database hears of them; a waiter also wakes after its
/// time-out, because a notification may be lost with its connection. A change is a hint to read again, never the data itself.
/// </remarks>
internal sealed class ChangeHub(NpgsqlDataSource dataSource, TimeProvider time, ILogger<ChangeHub> logger) : BackgroundService
{
    private const string Channel = "byteport";

    private readonly ConcurrentDictionary<string, TaskCompletionSource> _waiting = new(StringComparer.Ordinal);

    /// <summary>A task that ends at the next change of <paramref name="key"/>. Take it BEFORE reading, so that no change is missed.</summary>
    public Task NextChange(string key)
        => _waiting.GetOrAdd(key, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Waits for a change that <see cref="NextChange"/> promised, at most <paramref name="timeout"/>.</summary>
    public async Task WaitAsync(Task change, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await change.WaitAsync(timeout, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // Read again anyway.
        }
    }

    /// <summary>Announces a change to this process at once and to the others through the database.</summary>
    public async Task AnnounceAsync(string key, CancellationToken cancellationToken)
    {
        Wake(key);
        await using var command = dataSource.CreateCommand("SELECT pg_notify($1, $2)");
        command.Parameters.AddWithValue(Channel);
        command.Parameters.AddWithValue(key);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Announces to this process only: for changes that others learn of by their own reading.</summary>
    public void Wake(string key)
    {
        if (_waiting.TryRemove(key, out var source))
        {
            source.TrySetResult();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await dataSource.OpenConnectionAsync(stoppingToken);
                connection.Notification += (_, notification) => Wake(notification.Payload);
                await using (var listen = new NpgsqlCommand($"LISTEN {Channel}", connection))
                {
                    await listen.ExecuteNonQueryAsync(stoppingToken);
                }

                while (true)
                {
                    await connection.WaitAsync(stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
            {
                Log.ListenerLost(logger, exception.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }
}

/// <summary>The keys that <see cref="ChangeHub"/> knows.</summary>
internal static class Changes
{
    /// <summary>A deployment was queued or an activation ordered.</summary>
    public const string Queue = "queue";

    /// <summary>Instances are wanted or no longer wanted.</summary>
    public const string Instances = "instances";

    /// <summary>Status, steps or log of one deployment.</summary>
    public static string Deployment(Guid id) => "deployment:" + id.ToString("N");

    /// <summary>The runtime log of one project.</summary>
    public static string Log(Guid projectId) => "log:" + projectId.ToString("N");
}

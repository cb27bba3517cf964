using System.Text;
using System.Threading.Channels;
using BytePort.Builds.Logs;
using BytePort.Server.Database;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;

namespace BytePort.Server.Deployments;

/// <summary>Keeps the log of one deployment while a worker has it: lines are numbered as they come and written in batches.</summary>
internal sealed class DeploymentLog : IAsyncDisposable
{
    private const int MaxLines = 50_000;
    private const int MaxLineLength = 4_000;
    private const int BatchSize = 500;

    private readonly Guid _deployment;
    private readonly NpgsqlDataSource _dataSource;
    private readonly ChangeHub _changes;
    private readonly TimeProvider _time;
    private readonly Channel<Line> _lines = Channel.CreateBounded<Line>(new BoundedChannelOptions(2_000) { SingleReader = true });
    private readonly Task _writing;
    private long _written;
    private long _last;

    private DeploymentLog(Guid deployment, long last, NpgsqlDataSource dataSource, ChangeHub changes, TimeProvider time)
    {
        _deployment = deployment;
        _written = _last = last;
        _dataSource = dataSource;
        _changes = changes;
        _time = time;
        Output = new BuildLog(line => Add(line.Text, line.Source switch
        {
            BuildLogSource.Output => "stdout",
            BuildLogSource.Error => "stderr",
            _ => "platform",
        }));
        _writing = WriteBatchesAsync();
    }

    /// <summary>The step whose lines come next.</summary>
    public string Step { get; set; } = DeploymentSteps.Source;

    public static async Task<DeploymentLog> OpenAsync(Guid deployment, IDbContextFactory<PlatformDb> databases, NpgsqlDataSource dataSource, ChangeHub changes, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var last = await db.DeploymentLog.Where(l => l.DeploymentId == deployment).MaxAsync(l => (long?)l.Offset, cancellationToken) ?? 0;
        return new DeploymentLog(deployment, last, dataSource, changes, time);
    }

    /// <summary>A line of the platform's own.</summary>
    public void Say(string text) => Add(text, "platform");

    /// <summary>Where building writes its own lines and those of programs.</summary>
    public BuildLog Output { get; }

    /// <summary>Waits until all lines so far are in the database.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var goal = Interlocked.Read(ref _last);
        while (Interlocked.Read(ref _written) < goal && !_writing.IsCompleted)
        {
            await Task.Delay(5, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Add(string text, string stream)
    {
        lock (_lines)
        {
            if (_last > MaxLines)
            {
                return;
            }

            var line = new Line(
                _last + 1,
                Step,
                _time.GetUtcNow(),
                _last == MaxLines ? "platform" : stream,
                _last == MaxLines ? $"The log ends here: it has {MaxLines} lines. The deployment goes on." : Clean(text));
            // A full channel holds the writer back until the database has caught up: the build waits, nothing is lost.
            while (!_lines.Writer.TryWrite(line))
            {
                if (_writing.IsCompleted)
                {
                    return;
                }

                Thread.Yield();
            }

            Interlocked.Exchange(ref _last, line.Offset);
        }
    }

    /// <summary>PostgreSQL's text holds no NUL, and a terminal of a reader should not obey a build: control characters but tab and
    /// the colour sequences' escape go.</summary>
    private static string Clean(string text)
    {
        var cut = text.Length > MaxLineLength ? text[..MaxLineLength] + "… (line cut)" : text;
        var clean = new StringBuilder(cut.Length);
        foreach (var rune in cut.EnumerateRunes())
        {
            if (rune.Value is '\t' or 0x1b || !Rune.IsControl(rune))
            {
                clean.Append(rune);
            }
        }

        return clean.ToString();
    }

    private async Task WriteBatchesAsync()
    {
        var batch = new List<Line>(BatchSize);
        while (await _lines.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < BatchSize && _lines.Reader.TryRead(out var line))
            {
                batch.Add(line);
            }

            await using var command = _dataSource.CreateCommand("""
                INSERT INTO deployment_log (deployment_id, "offset", step, time, stream, text)
                SELECT $1, o, s, t, r, x FROM unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[]) AS l(o, s, t, r, x)
                """);
            command.Parameters.AddWithValue(_deployment);
            command.Parameters.Add(new NpgsqlParameter { Value = batch.ConvertAll(l => l.Offset).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint });
            command.Parameters.Add(new NpgsqlParameter { Value = batch.ConvertAll(l => l.Step).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
            command.Parameters.Add(new NpgsqlParameter { Value = batch.ConvertAll(l => l.Time.UtcDateTime).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz });
            command.Parameters.Add(new NpgsqlParameter { Value = batch.ConvertAll(l => l.Stream).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
            command.Parameters.Add(new NpgsqlParameter { Value = batch.ConvertAll(l => l.Text).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
            await command.ExecuteNonQueryAsync();
            Interlocked.Exchange(ref _written, batch[^1].Offset);
            await _changes.AnnounceAsync(Changes.Deployment(_deployment), CancellationToken.None);
        }
    }

    private sealed record Line(long Offset, string Step, DateTimeOffset Time, string Stream, string Text);
}

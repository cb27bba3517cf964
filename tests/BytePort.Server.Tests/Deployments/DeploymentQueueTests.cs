using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Projects;
using BytePort.Server.Tests.Platform;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace BytePort.Server.Tests.Deployments;

/// <summary>The queue on a database of its own, so that the platform's workers do not take what a test queued.</summary>
public sealed class DeploymentQueueTests(TestPlatform platform) : IAsyncLifetime
{
    private NpgsqlDataSource _dataSource = null!;
    private PooledFactory _databases = null!;
    private DeploymentQueue _queue = null!;
    private ChangeHub _changes = null!;
    private readonly MovableTime _time = new();
    private Guid _project;

    public async ValueTask InitializeAsync()
    {
        var connection = new NpgsqlConnectionStringBuilder(platform.Services.GetRequiredService<NpgsqlDataSource>().ConnectionString) { Database = "queue_" + Guid.NewGuid().ToString("N"), MaxPoolSize = 6, MinPoolSize = 0 };
        _dataSource = NpgsqlDataSource.Create(connection);
        _databases = new PooledFactory(_dataSource);
        await using var db = _databases.CreateDbContext();
        await DatabaseStart.MigrateAsync(connection.ConnectionString, db, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, default);
        _changes = new ChangeHub(_dataSource, _time, Microsoft.Extensions.Logging.Abstractions.NullLogger<ChangeHub>.Instance);
        _queue = new DeploymentQueue(_databases, _changes, _time);
        var team = new Server.Accounts.Team { Slug = "t" };
        db.Add(team);
        await db.SaveChangesAsync();
        _project = await NewProjectAsync("p", team.Id);
    }

    public async ValueTask DisposeAsync()
    {
        await using (var db = _databases.CreateDbContext())
        {
            await db.Database.EnsureDeletedAsync();
        }

        _changes.Dispose();
        await _dataSource.DisposeAsync();
    }

    [Fact]
    public async Task Add_SecondWhileTheFirstWaits_SupersedesIt()
    {
        await AddAsync();
        await AddAsync();

        Assert.Equal([DeploymentStatus.Superseded, DeploymentStatus.Queued], await StatusesAsync());
    }

    [Fact]
    public async Task Claim_SecondOfTheSameEnvironment_WaitsForTheFirst()
    {
        await AddAsync();
        var first = await _queue.ClaimAsync("a", default);
        await AddAsync();

        Assert.NotNull(first);
        Assert.Null(await _queue.ClaimAsync("b", default));
    }

    [Fact]
    public async Task Claim_ByManyAtOnce_GivesEachDeploymentToOne()
    {
        await using (var db = _databases.CreateDbContext())
        {
            var team = await db.Teams.Select(t => t.Id).FirstAsync();
            for (var i = 0; i < 10; i++)
            {
                await _queue.AddAsync(await NewProjectAsync("many" + i, team), new SourceRequest(new GitRequest("https://x.invalid", null), null), default);
            }
        }

        var claimed = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => _queue.ClaimAsync("w" + i, default)));

        Assert.Equal(10, claimed.Count(id => id is not null));
        Assert.Equal(10, claimed.Where(id => id is not null).Distinct().Count());
    }

    [Fact]
    public async Task Claim_AfterTheLeaseEnded_TakesOverAndTheFirstNotices()
    {
        await AddAsync();
        var id = (await _queue.ClaimAsync("dead", default))!.Value;
        Assert.Null(await _queue.ClaimAsync("heir", default));
        _time.Advance(DeploymentQueue.Lease + TimeSpan.FromSeconds(1));

        Assert.Equal(id, await _queue.ClaimAsync("heir", default));
        Assert.False((await _queue.RenewAsync(id, "dead", default)).Owned);
        Assert.True((await _queue.RenewAsync(id, "heir", default)).Owned);
    }

    [Fact]
    public async Task ReleaseAll_AtStart_FreesWhatThePredecessorHeld()
    {
        await AddAsync();
        var id = await _queue.ClaimAsync("node", default);
        await _queue.ReleaseAllAsync("node", default);

        Assert.Equal(id, await _queue.ClaimAsync("node", default));
    }

    [Fact]
    public async Task Cancel_EachState_DoesWhatItCan()
    {
        await AddAsync();
        Assert.Equal(CancelOutcome.NotFound, await _queue.CancelAsync(_project, 7, default));
        Assert.Equal(CancelOutcome.Canceled, await _queue.CancelAsync(_project, 1, default));
        Assert.Equal(CancelOutcome.Finished, await _queue.CancelAsync(_project, 1, default));
        await AddAsync();
        var id = (await _queue.ClaimAsync("w", default))!.Value;
        Assert.Equal(CancelOutcome.Requested, await _queue.CancelAsync(_project, 2, default));
        Assert.True((await _queue.RenewAsync(id, "w", default)).CancelRequested);
    }

    private Task<int> AddAsync() => _queue.AddAsync(_project, new SourceRequest(new GitRequest("https://x.invalid", null), null), default);

    private async Task<List<DeploymentStatus>> StatusesAsync()
    {
        await using var db = _databases.CreateDbContext();
        return await db.Deployments.OrderBy(d => d.Number).Select(d => d.Status).ToListAsync();
    }

    private async Task<Guid> NewProjectAsync(string name, Guid team)
        => (await new ProjectCreation(_databases, _time).CreateAsync(team, name, default)).Project!.Id;

    private sealed class PooledFactory(NpgsqlDataSource dataSource) : IDbContextFactory<PlatformDb>
    {
        public PlatformDb CreateDbContext() => new(new DbContextOptionsBuilder<PlatformDb>().UseNpgsql(dataSource).Options);
    }

    private sealed class MovableTime : TimeProvider
    {
        private TimeSpan _moved;

        public void Advance(TimeSpan by) => _moved += by;

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + _moved;
    }
}

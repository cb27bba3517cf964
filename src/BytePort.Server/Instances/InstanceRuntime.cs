using BytePort.Builds.Blobs;
using BytePort.Builds.Services;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Logs;
using BytePort.Server.Routing;
using Microsoft.EntityFrameworkCore;
using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Server.Instances;

/// <summary>What instance runners need of the platform, and how a service becomes a machine.</summary>
internal sealed class InstanceRuntime(
    IDbContextFactory<PlatformDb> databases,
    MachineHost machines,
    ImageStore images,
    BlobStore blobs,
    RuntimeLog log,
    Lazy<RoutePublisher> routes,
    ChangeHub changes,
    TimeProvider time,
    ILogger<InstanceRuntime> logger)
{
    public const string InstanceLabel = "byteport.instance";

    /// <summary>The port that every server is told by <c>PORT</c>.</summary>
    public const int Port = 8080;

    public MachineHost Machines => machines;

    public RuntimeLog Log => log;

    public TimeProvider Time => time;

    public ILogger Logger => logger;

    public HttpClient Health { get; } = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(2),
        PooledConnectionLifetime = TimeSpan.FromSeconds(1),
    })
    {
        Timeout = TimeSpan.FromSeconds(10),
        MaxResponseContentBufferSize = 64 * 1024,
    };

    public async Task<Machine> StartMachineAsync(Guid instance, PlannedService service, string project, Guid team, CancellationToken cancellationToken)
    {
        var artifact = (AppArtifact)service.Artifact!;
        var stack = await images.GetStackAsync(artifact.Stack, null, cancellationToken);
        var plan = service.Plan;
        var environment = new Dictionary<string, string>(plan.Environment)
        {
            ["PORT"] = Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
        var spec = new MachineSpec
        {
            Name = MachineName(project, plan.Name),
            MemoryMiB = plan.MemoryMiB,
            Cpus = Math.Max(1, (int)Math.Ceiling(plan.CpuLimit)),
            CpuLimit = plan.CpuLimit,
            DiskBytes = plan.DiskBytes,
            Layers = [.. stack.Layers, blobs.GetPath(artifact.LayerDigest)],
            Owner = team.ToString("N"),
            Labels = new Dictionary<string, string> { [InstanceLabel] = instance.ToString() },
        };
        return await machines.StartAsync(spec, AppProcess.Create(stack, artifact.StartCommand, environment), cancellationToken);
    }

    public async Task UpdateAsync(Guid instance, Action<Instance> change, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        if (await db.Instances.FirstOrDefaultAsync(i => i.Id == instance, cancellationToken) is { } row)
        {
            change(row);
            await db.SaveChangesAsync(cancellationToken);
        }

        await changes.AnnounceAsync(Changes.Instances, cancellationToken);
    }

    public async Task DeleteAsync(Guid instance, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        await db.Instances.Where(i => i.Id == instance).ExecuteDeleteAsync(cancellationToken);
        await changes.AnnounceAsync(Changes.Instances, cancellationToken);
    }

    public Task PublishRoutesAsync(Guid project, CancellationToken cancellationToken) => routes.Value.PublishAsync(project, cancellationToken);

    private static string MachineName(string project, string service)
    {
        var name = $"{project}-{service}";
        return name.Length <= 60 ? name : name[..60].TrimEnd('-');
    }
}

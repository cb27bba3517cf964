using BytePort.Builds.Blobs;
using BytePort.Builds.Detection;
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

    /// <summary>The port that a server is told by <c>PORT</c> when its manifest names none.</summary>
    private const int DefaultPort = 8080;

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

    /// <summary>Starts the machine of an instance; its main process is the service's start command.</summary>
    public Task<Machine> StartMachineAsync(Guid instance, PlannedService service, MachineOwner owner, CancellationToken cancellationToken)
        => StartMachineAsync(
            service,
            ((AppArtifact)service.Artifact!).StartCommand,
            owner,
            spec => spec with { GroupName = service.Plan.Name, Announced = false, Labels = new Dictionary<string, string> { [InstanceLabel] = instance.ToString() } },
            cancellationToken);

    /// <summary>Runs a service's release command in a machine of its own, like the service's, and waits for its end.</summary>
    public async Task<ProcessExit> RunReleaseAsync(PlannedService service, MachineOwner owner, Action<string, bool> write, CancellationToken cancellationToken)
    {
        var machine = await StartMachineAsync(service, service.Plan.ReleaseCommand!, owner, spec => spec, cancellationToken);
        try
        {
            var lines = new LineAssembler(service.Plan.Name, machine.Id, 0, time);
            await foreach (var chunk in machine.ReadOutputAsync(0, cancellationToken))
            {
                foreach (var line in lines.Add(chunk))
                {
                    write(line.Text, line.Stream == "stderr");
                }
            }

            foreach (var line in lines.Finish())
            {
                write(line.Text, line.Stream == "stderr");
            }

            return await machine.Exited.WaitAsync(cancellationToken);
        }
        finally
        {
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        }
    }

    private async Task<Machine> StartMachineAsync(
        PlannedService service, string command, MachineOwner owner, Func<MachineSpec, MachineSpec> change, CancellationToken cancellationToken)
    {
        var artifact = (AppArtifact)service.Artifact!;
        using var use = images.BeginUse();
        var stack = await images.GetStackAsync(artifact.Stack, null, cancellationToken, use);
        var plan = service.Plan;
        var environment = new Dictionary<string, string>(plan.Environment)
        {
            ["PORT"] = PortOf(plan).ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
        var spec = new MachineSpec
        {
            Name = MachineName(owner.Project, plan.Name),
            MemoryMiB = plan.Size.MemoryMiB,
            Cpus = Math.Max(1, (int)Math.Ceiling(plan.Size.Cpus)),
            CpuLimit = plan.Size.Cpus,
            DiskBytes = plan.Size.DiskBytes,
            Layers = [.. stack.Layers, blobs.GetPath(artifact.LayerDigest)],
            Owner = owner.Team.ToString("N"),
            Group = owner.Group,
        };
        return await machines.StartAsync(change(spec), AppProcess.Create(stack, command, environment), cancellationToken);
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

    public static int PortOf(ServicePlan plan) => plan.Port ?? DefaultPort;

    private static string MachineName(string project, string service)
    {
        var name = $"{project}-{service}";
        return name.Length <= 60 ? name : name[..60].TrimEnd('-');
    }
}

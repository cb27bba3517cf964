using System.Net;
using BytePort.Builds.Blobs;
using BytePort.Builds.Services;
using BytePort.Builds.Sources;
using BytePort.Edge;
using BytePort.Edge.Listening;
using BytePort.Server.Accounts;
using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Environments;
using BytePort.Server.Git;
using BytePort.Server.Grpc;
using BytePort.Server.Health;
using BytePort.Server.Images;
using BytePort.Server.Instances;
using BytePort.Server.Logs;
using BytePort.Server.Machines;
using BytePort.Server.Machines.Disks;
using BytePort.Server.Machines.Networks;
using BytePort.Server.Machines.Snapshots;
using BytePort.Server.Machines.Templates;
using BytePort.Server.Projects;
using BytePort.Server.Routing;
using BytePort.Server.Uploads;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.EntityFrameworkCore;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Systems;
using Npgsql;

namespace BytePort.Server.Hosting;

/// <summary>Puts the platform's parts together.</summary>
internal static class PlatformHost
{
    /// <summary>Registers everything. The database and the machines are opened before, because nothing works without them.</summary>
    public static WebApplication Build(ServerOptions options, string connectionString, Node node, MachineHost machines, ImageStore images)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        ConfigureLogging(builder.Logging);
        builder.WebHost.UseBytePortEdgeListener().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = 1 << 20;
            Listen(kestrel, options);
        });
        var services = builder.Services;
        services.AddSingleton(options).AddSingleton(node).AddSingleton(machines).AddSingleton(images).AddSingleton(TimeProvider.System);
        services.AddSingleton(_ => NpgsqlDataSource.Create(connectionString));
        services.AddPooledDbContextFactory<PlatformDb>((provider, db) => db.UseNpgsql(provider.GetRequiredService<NpgsqlDataSource>()), 16);
        services.AddScoped(provider => provider.GetRequiredService<IDbContextFactory<PlatformDb>>().CreateDbContext());
        services.AddSingleton(new BlobStore(options.InData("blobs")));
        services.AddSingleton(_ => new SourceFetcher());
        services.AddSingleton(provider => new ServiceBuilder(
            machines, images, provider.GetRequiredService<BlobStore>(), options.InData("builds"), TimeProvider.System, provider.GetRequiredService<ILogger<ServiceBuilder>>()));
        services.AddBytePortEdge();
        services.AddSingleton<ChangeHub>().AddHostedService(provider => provider.GetRequiredService<ChangeHub>());
        services.AddSingleton<FirstStart>().AddSingleton<ProjectCreation>().AddSingleton<UploadStore>().AddSingleton<SampleRepositories>();
        services.AddSingleton<RuntimeLog>().AddSingleton<InstanceRuntime>().AddSingleton<Releaser>().AddSingleton<RoutePublisher>();
        services.AddSingleton(provider => new Lazy<RoutePublisher>(provider.GetRequiredService<RoutePublisher>));
        services.AddSingleton<DeploymentQueue>().AddSingleton<DeploymentSteps>().AddSingleton<ActivationQueue>();
        services.AddSingleton<InstanceSupervisor>().AddHostedService(provider => provider.GetRequiredService<InstanceSupervisor>());
        services.AddSingleton<ActivationWorker>().AddHostedService(provider => provider.GetRequiredService<ActivationWorker>());
        services.AddHostedService<DeploymentWorker>();
        services.AddSingleton(new SystemStore(images, options.InData("systems.yaml"))).AddSingleton<TemplateStore>().AddSingleton<DiskStore>().AddSingleton<NetworkService>().AddSingleton<DisconnectHooks>();
        services.AddSingleton<MachineService>().AddSingleton<SnapshotService>().AddSingleton<MachineLogs>().AddHostedService(provider => provider.GetRequiredService<MachineLogs>());
        services.AddSingleton<ArtifactCollection>().AddSingleton<ImageService>().AddHostedService<DailyCollection>();
        if (options.GrpcListen is { } grpc)
        {
            services.AddSingleton<ClusterApi>();
            services.AddHostedService(provider => new GrpcServer(
                grpc,
                [ClusterApi.Create(provider.GetRequiredService<ClusterApi>())],
                provider.GetRequiredService<IDbContextFactory<PlatformDb>>(),
                TimeProvider.System,
                provider.GetRequiredService<ILoggerFactory>()));
        }

        // Without AddAuthentication, which brings data protection along: tokens here are opaque, nothing is encrypted with its keys.
        services.AddAuthenticationCore(authentication => authentication.DefaultScheme = TokenAuthentication.SchemeName).AddWebEncoders();
        new AuthenticationBuilder(services).AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.SchemeName, null);
        services.AddAuthorization();
        services.AddProblemDetails();
        services.AddOpenApi("v1", OpenApi.Configure);
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(json => ApiJson.Configure(json.SerializerOptions));
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(20));
        return Map(builder.Build());
    }

    public static void ConfigureLogging(ILoggingBuilder logging)
    {
        logging.ClearProviders();
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            console.UseUtcTimestamp = true;
            console.ColorBehavior = Microsoft.Extensions.Logging.Console.LoggerColorBehavior.Disabled;
        });
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("Yarp", LogLevel.Warning);
        logging.AddFilter("Npgsql", LogLevel.Warning);
        logging.AddFilter("BytePort.Server.Accounts.TokenAuthentication", LogLevel.Warning);
        // Failures come as exceptions to whoever asked; the first look for the migrations' table fails by design.
        logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.Critical);
    }

    private static WebApplication Map(WebApplication app)
    {
        app.UseBytePortEdge();
        app.UseUnknownApps();
        // AnswerErrorAsync logs what is ours; a request that cannot be read is not a failure of the server.
        app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = AnswerErrorAsync, SuppressDiagnosticsCallback = _ => true });
        app.UseStatusCodePages();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseWebSockets();
        app.MapOpenApi("/openapi/{documentName}.json");
        app.MapHealth();
        app.MapFrontPage();
        app.MapAccounts();
        app.MapProjects();
        app.MapDeployments();
        app.MapRuntimeLogs();
        app.MapUploads();
        app.MapMachines();
        app.MapSnapshots();
        app.MapTemplates();
        app.MapDisks();
        app.MapNetworks();
        app.MapImages();
        app.MapGit();
        return app;
    }

    /// <summary>A stack trace is for the log; the caller learns that it was not their fault, or which part of the request was.</summary>
    private static Task AnswerErrorAsync(HttpContext context)
    {
        var exception = context.Features.Get<IExceptionHandlerFeature>()?.Error;
        if (exception is BadHttpRequestException bad)
        {
            return Problems.Create(bad.StatusCode, "bad_request", "The request cannot be read", bad.InnerException?.Message ?? bad.Message).ExecuteAsync(context);
        }

        if (exception is not null and not OperationCanceledException)
        {
            var logger = context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("BytePort.Server.Api");
            Log.RequestFailed(logger, context.Request.Method, context.Request.Path, exception);
        }

        return Problems.Create(StatusCodes.Status500InternalServerError, "internal_error", "The platform failed", "This is not your fault; the administrator finds the details in the server's log. Try again.").ExecuteAsync(context);
    }

    private static void Listen(Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions kestrel, ServerOptions options)
    {
        if (options.ListenHost == "localhost")
        {
            kestrel.ListenLocalhost(options.ListenPort);
        }
        else if (IPAddress.TryParse(options.ListenHost.Trim('[', ']'), out var address))
        {
            kestrel.Listen(address, options.ListenPort);
        }
        else
        {
            throw new StartException($"--listen {options.Listen}: '{options.ListenHost}' is neither 'localhost' nor an IP address, such as 127.0.0.1, 0.0.0.0 or [::].");
        }
    }
}

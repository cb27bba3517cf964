using System.Runtime.InteropServices;
using BytePort.Server.Accounts;
using BytePort.Server.Database;
using BytePort.Server.Git;
using BytePort.Server.Instances;
using BytePort.Server.Machines.Snapshots;
using BytePort.Server.Machines.Templates;
using BytePort.Server.Routing;
using Microsoft.EntityFrameworkCore;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Server.Hosting;

/// <summary>The life of the server process.</summary>
/// <remarks>
/// 1. Take the data folder. 2. Start PostgreSQL and migrate. 3. Open the machines (repairs the network, adopts what runs). 4. Prepare
/// the administrator and the samples. 5. Adopt instances and publish routes, then listen: the first request already finds its app.
/// Stopping undoes only what this process is: machines run on, and the next start adopts them.
/// </remarks>
internal static class Server
{
    private const int Failed = 1;
    private const int Misused = 2;

    public static async Task<int> RunAsync(string[] arguments)
    {
        ServerOptions options;
        try
        {
            options = ServerOptions.Parse(arguments, Environment.GetEnvironmentVariable);
        }
        catch (ServerOptionsException exception)
        {
            await Console.Error.WriteLineAsync(exception.Message);
            return Misused;
        }

        using var loggers = LoggerFactory.Create(PlatformHost.ConfigureLogging);
        using var stopping = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, stopping));
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, stopping));
        try
        {
            if (options.Down)
            {
                await Down.RunAsync(options, loggers, stopping.Token);
                return 0;
            }

            await ServeAsync(options, loggers, stopping.Token);
            return 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception exception) when (exception is StartException or MachineException or NetworkException or ImageException or CommandException or IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"BytePort could not start: {exception.Message}");
            return Failed;
        }
    }

    private static async Task ServeAsync(ServerOptions options, ILoggerFactory loggers, CancellationToken stopping)
    {
        var logger = loggers.CreateLogger("BytePort.Server");
        if (MachineHost.ModeOfThisProcess == HostMode.User)
            throw new StartException("the platform's server takes root, for images with files of other owners and for the bridge over which it reaches apps. Start it with './byteport up' or sudo. Machines without root are for programs that use the library.");
        // 1.
        Directory.CreateDirectory(options.DataFolder);
        File.SetUnixFileMode(options.DataFolder, (UnixFileMode)0b111_001_001);
        using var node = await Node.OpenAsync(options, stopping);
        await SafeFile.WriteAsync(options.InData("server.pid"), System.Text.Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"), stopping);

        // 2.
        Log.Starting(logger, "Starting the database");
        var postgres = options.Database is null ? new PrivatePostgres(options, loggers.CreateLogger<PrivatePostgres>()) : null;
        if (postgres is not null)
        {
            await postgres.StartAsync(stopping);
        }

        var connectionString = options.Database ?? postgres!.ConnectionString;

        // 3.
        Log.Starting(logger, "Opening the machines");
        var images = new ImageStore(options.CacheFolder, TimeProvider.System, options.RecipesFolder);
        await using var machines = await MachineHost.OpenAsync(Machines.Options(options, images), loggers, TimeProvider.System, stopping);
        await using var app = PlatformHost.Build(options, connectionString, node, machines, images);
        await using (var db = await app.Services.GetRequiredService<IDbContextFactory<PlatformDb>>().CreateDbContextAsync(stopping))
        {
            await DatabaseStart.MigrateAsync(connectionString, db, logger, stopping);
        }

        // 4.
        await app.Services.GetRequiredService<SampleRepositories>().UpdateAsync(stopping);
        var link = await app.Services.GetRequiredService<FirstStart>().PrepareAsync(stopping);
        // In a file that only its owner reads, because a log must hold no secret; 'byteport up' prints it.
        await SafeFile.WriteAsync(options.InData("sign-in-link"), System.Text.Encoding.ASCII.GetBytes(link + "\n"), stopping);

        // 5.
        app.Services.GetRequiredService<SnapshotService>().Repair();
        app.Services.GetRequiredService<TemplateStore>().Repair();
        await app.Services.GetRequiredService<InstanceSupervisor>().AdoptAsync(stopping);
        await app.Services.GetRequiredService<RoutePublisher>().PublishAllAsync(stopping);
        await app.StartAsync(stopping);
        Log.Ready(logger, options.Url, options.DataFolder);
        await Task.Delay(Timeout.InfiniteTimeSpan, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await app.StopAsync(CancellationToken.None);
        File.Delete(options.InData("server.pid"));
    }

    private static void Stop(PosixSignalContext signal, CancellationTokenSource stopping)
    {
        signal.Cancel = true;
        stopping.Cancel();
    }
}

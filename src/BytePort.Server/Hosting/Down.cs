using System.Diagnostics;
using System.Globalization;
using BytePort.Server.Database;
using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Server.Hosting;

/// <summary>Stops a platform: server, machines with their network, database. Data stays, and the next start brings every app back.</summary>
internal static class Down
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task RunAsync(ServerOptions options, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger("BytePort.Server");
        if (!Directory.Exists(options.DataFolder))
        {
            throw new StartException($"There is no platform in {options.DataFolder}. Name its folder by --data.");
        }

        await StopServerAsync(options, cancellationToken);
        using var node = await Node.OpenAsync(options, cancellationToken);
        Log.Starting(logger, "Stopping the machines");
        await MachineHost.DestroyAsync(Machines.Options(options, new ImageStore(options.CacheFolder)), loggers, TimeProvider.System, cancellationToken);
        if (options.Database is null)
        {
            Log.Starting(logger, "Stopping the database");
            await new PrivatePostgres(options, loggers.CreateLogger<PrivatePostgres>()).StopAsync(cancellationToken);
        }
    }

    private static async Task StopServerAsync(ServerOptions options, CancellationToken cancellationToken)
    {
        var file = options.InData("server.pid");
        if (!File.Exists(file) || !int.TryParse(await File.ReadAllTextAsync(file, cancellationToken), NumberStyles.Integer, CultureInfo.InvariantCulture, out var id))
        {
            return;
        }

        // The number may belong to another program by now: only a process that runs on this data folder is the server.
        var commandLine = $"/proc/{id}/cmdline";
        if (!File.Exists(commandLine) || !(await File.ReadAllTextAsync(commandLine, cancellationToken)).Split('\0').Contains(options.DataFolder))
        {
            return;
        }

        using var server = Process.GetProcessById(id);
        Signals.Terminate(id);
        try
        {
            await server.WaitForExitAsync(cancellationToken).WaitAsync(Patience, cancellationToken);
        }
        catch (TimeoutException)
        {
            server.Kill();
            await server.WaitForExitAsync(cancellationToken);
        }
    }
}

using System.Globalization;
using BytePort.Server.Hosting;
using NanoVms.Commands;

namespace BytePort.Server.Database;

/// <summary>A PostgreSQL of the platform's own under the data folder: Unix socket only, an unprivileged user, tuned small.</summary>
/// <remarks>It outlives a killed server; the next start finds it running and uses it.</remarks>
internal sealed class PrivatePostgres(ServerOptions options, ILogger<PrivatePostgres> logger)
{
    private const string User = "postgres";

    /// <summary>A Unix socket address holds 107 bytes; the file name takes 16 of them.</summary>
    private const int LongestSocketFolder = 90;

    private string Folder => options.InData("postgres");

    private string Cluster => Path.Combine(Folder, "data");

    private string SocketFolder => Path.Combine(Folder, "run");

    public string ConnectionString
    {
        get
        {
            var path = SocketFolder.Length <= LongestSocketFolder ? SocketFolder : ShortSocketFolder;
            return $"Host={path};Username={User};Database=byteport;Maximum Pool Size=12;Minimum Pool Size=1;Connection Idle Lifetime=30;Timeout=15;Command Timeout=30;Application Name=byteport";
        }
    }

    /// <summary>A stand-in for data folders whose path is longer than a socket address can be.</summary>
    private string ShortSocketFolder => Path.Combine("/run", "byteport-" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Folder)))[..12]);

    /// <summary>Creates the cluster if there is none and starts it unless it runs.</summary>
    /// <exception cref="StartException">PostgreSQL is not installed or does not start; the message says what to do.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var bin = FindBinaries();
        Directory.CreateDirectory(Folder);
        Directory.CreateDirectory(SocketFolder);
        if (SocketFolder.Length > LongestSocketFolder && !Path.Exists(ShortSocketFolder))
        {
            Directory.CreateSymbolicLink(ShortSocketFolder, SocketFolder);
        }

        await CommandRunner.RunCheckedAsync(new Command("chown", ["-R", "--no-dereference", $"{User}:", Folder]), cancellationToken);
        File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!File.Exists(Path.Combine(Cluster, "PG_VERSION")))
        {
            // A half-made cluster has no PG_VERSION only before initdb's first writes; start over in any case.
            if (Directory.Exists(Cluster))
            {
                Directory.Delete(Cluster, true);
            }

            var fresh = Cluster + ".new";
            if (Directory.Exists(fresh))
            {
                Directory.Delete(fresh, true);
            }

            Log.CreatingCluster(logger, Cluster);
            await AsUserAsync(Path.Combine(bin, "initdb"), ["-D", fresh, "-U", User, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"], cancellationToken);
            await File.WriteAllTextAsync(Path.Combine(fresh, "postgresql.auto.conf"), Settings(), cancellationToken);
            Directory.Move(fresh, Cluster);
        }

        if (await IsRunningAsync(bin, cancellationToken))
        {
            return;
        }

        var log = Path.Combine(Folder, "postgres.log");
        try
        {
            await AsUserAsync(Path.Combine(bin, "pg_ctl"), ["-D", Cluster, "-l", log, "-w", "-t", "60", "-s", "start"], cancellationToken);
        }
        catch (CommandException exception)
        {
            var tail = File.Exists(log) ? string.Join(Environment.NewLine, (await File.ReadAllLinesAsync(log, cancellationToken)).TakeLast(8)) : "(no log)";
            throw new StartException($"The private PostgreSQL in {Folder} did not start: {exception.Message}{Environment.NewLine}{tail}{Environment.NewLine}Free disk space or repair it, or give another database by --database.");
        }

        Log.Started(logger, Cluster);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(Cluster, "postmaster.pid")))
        {
            return;
        }

        var bin = FindBinaries();
        if (await IsRunningAsync(bin, cancellationToken))
        {
            await AsUserAsync(Path.Combine(bin, "pg_ctl"), ["-D", Cluster, "-m", "fast", "-w", "-t", "60", "-s", "stop"], cancellationToken);
        }

        if (SocketFolder.Length > LongestSocketFolder)
        {
            File.Delete(ShortSocketFolder);
        }
    }

    /// <summary>The newest server that the distribution installed.</summary>
    private static string FindBinaries()
    {
        const string Root = "/usr/lib/postgresql";
        var newest = !Directory.Exists(Root) ? null : Directory.GetDirectories(Root)
            .Where(folder => File.Exists(Path.Combine(folder, "bin", "initdb")))
            .MaxBy(folder => int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : 0);
        return newest is not null
            ? Path.Combine(newest, "bin")
            : throw new StartException("PostgreSQL is not installed: run 'apt-get install postgresql', or give an external database by --database.");
    }

    private async Task<bool> IsRunningAsync(string bin, CancellationToken cancellationToken)
        => (await CommandRunner.RunAsync(UserCommand(Path.Combine(bin, "pg_ctl"), ["-D", Cluster, "status"]), cancellationToken)).ExitCode == 0;

    private string Settings()
    {
        var socket = SocketFolder.Length <= LongestSocketFolder ? SocketFolder : ShortSocketFolder;
        return $"""
            # Small on purpose: the platform's state is a few megabytes, and memory belongs to the apps.
            listen_addresses = ''
            unix_socket_directories = '{socket.Replace("'", "''", StringComparison.Ordinal)}'
            unix_socket_permissions = 0700
            max_connections = 40
            shared_buffers = 16MB
            work_mem = 1MB
            maintenance_work_mem = 16MB
            wal_level = minimal
            max_wal_senders = 0
            min_wal_size = 32MB
            max_wal_size = 128MB
            wal_buffers = 512kB
            max_worker_processes = 2
            max_parallel_workers = 0
            autovacuum_max_workers = 1
            jit = off
            logging_collector = off
            log_min_messages = warning

            """;
    }

    private Task<CommandResult> AsUserAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
        => CommandRunner.RunCheckedAsync(UserCommand(program, arguments), cancellationToken);

    private Command UserCommand(string program, IReadOnlyList<string> arguments)
    {
        List<string> change = ["--reuid", User, "--regid", User, "--clear-groups"];
        if (!IsTraversable(Folder))
        {
            // The data folder lies where only root may enter. Searching folders is the one privilege that the database then keeps.
            change.AddRange(["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]);
        }

        return new Command("setpriv", [.. change, "--", program, .. arguments])
        {
            WorkingDirectory = "/",
            Timeout = TimeSpan.FromMinutes(3),
        };
    }

    /// <summary>Whether every folder above may be entered by anybody.</summary>
    private static bool IsTraversable(string folder)
    {
        for (var parent = Path.GetDirectoryName(folder); parent is not null; parent = Path.GetDirectoryName(parent))
        {
            if ((File.GetUnixFileMode(parent) & UnixFileMode.OtherExecute) == 0)
            {
                return false;
            }
        }

        return true;
    }

}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace BytePort.Bench.Deploy;

/// <summary>Time from <c>byteport deploy</c> to live for a site of 1,000 files, a rollback, and what the idle control plane weighs.</summary>
internal static class DeployBench
{
    private const int Files = 1_000;
    private const int Rounds = 5;

    public static async Task<int> RunAsync(string programs)
    {
        var folder = Directory.CreateTempSubdirectory("byteport-bench-").FullName;
        var data = Path.Combine(folder, "data");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var serverProgram = Path.Combine(programs, "byteport-server");
        var began = Stopwatch.StartNew();
        var start = new ProcessStartInfo(serverProgram, ["--data", data, "--listen", $"127.0.0.1:{port}"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        // As `byteport up` starts it.
        start.Environment["DOTNET_GCgen0size"] = "0x400000";
        using var server = Process.Start(start)!;
        server.BeginOutputReadLine();
        server.BeginErrorReadLine();
        try
        {
            await AwaitReadyAsync(server, port);
            var started = began.Elapsed;
            var site = Path.Combine(folder, "site");
            WriteSite(site, 0);
            var cli = new Cli(Path.Combine(programs, "byteport"), Path.Combine(data, "login.json"));
            var first = await cli.TimeAsync("deploy", site, "--project", "bench", "--json");
            var unchanged = await MedianAsync(() => cli.TimeAsync("deploy", site, "--project", "bench", "--json"));
            var round = 0;
            var changed = await MedianAsync(() =>
            {
                File.WriteAllText(Path.Combine(site, "p0.html"), $"changed {round++}");
                return cli.TimeAsync("deploy", site, "--project", "bench", "--json");
            });
            var rollback = await MedianAsync(() => cli.TimeAsync("rollback", "bench", "--json"));
            var bare = await MedianAsync(() => cli.TimeAsync("--version"));
            await Task.Delay(TimeSpan.FromSeconds(12));
            var (ours, database) = Weigh(server.Id, data);
            Console.WriteLine("| Deploy and control plane | Median |");
            Console.WriteLine("|---|---|");
            Row($"first start to ready (new data folder)", started);
            Row($"first deploy of {Files} files to live", first);
            Row($"unchanged deploy of {Files} files to live", unchanged);
            Row($"deploy with one file of {Files} changed", changed);
            Row("rollback of a static site, CLI start included", rollback);
            Row("CLI that does nothing (`--version`)", bare);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| idle control plane, PSS | {ours + database:0} MB (server {ours:0}, PostgreSQL {database:0}) |"));
            return 0;
        }
        finally
        {
            using var down = Process.Start(new ProcessStartInfo(serverProgram, ["--data", data, "--down"]) { RedirectStandardOutput = true })!;
            await down.StandardOutput.ReadToEndAsync();
            await down.WaitForExitAsync();
            Directory.Delete(folder, true);
        }
    }

    private static void Row(string name, TimeSpan time) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {time.TotalMilliseconds:0} ms |"));

    private static async Task<TimeSpan> MedianAsync(Func<Task<TimeSpan>> measure)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < Rounds; i++)
        {
            times.Add(await measure());
        }

        times.Sort();
        return times[Rounds / 2];
    }

    private static async Task AwaitReadyAsync(Process server, int port)
    {
        using var client = new HttpClient();
        for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromMinutes(2); await Task.Delay(20))
        {
            if (server.HasExited)
            {
                throw new InvalidOperationException($"The server ended with exit code {server.ExitCode}.");
            }

            try
            {
                if ((await client.GetAsync(new Uri($"http://127.0.0.1:{port}/readyz"))).IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
        }

        throw new TimeoutException("The server was not ready within two minutes.");
    }

    private static void WriteSite(string folder, int version)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "index.html"), $"<h1>{version}</h1>");
        for (var i = 0; i < Files - 1; i++)
        {
            File.WriteAllText(Path.Combine(folder, $"p{i}.html"), $"<!doctype html><title>Page {i}</title>" + string.Concat(Enumerable.Repeat($"<p>Paragraph of page {i}.</p>\n", 40)));
        }
    }

    /// <summary>Proportional set size in MB (10^6 bytes) of the server and of the private PostgreSQL with all its processes.</summary>
    private static (double Server, double Database) Weigh(int server, string data)
    {
        var postmaster = int.Parse(File.ReadLines(Path.Combine(data, "postgres", "data", "postmaster.pid")).First(), CultureInfo.InvariantCulture);
        var database = 0.0;
        foreach (var process in Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture)))
        {
            if (process == postmaster || ParentOf(process) == postmaster)
            {
                database += Pss(process);
            }
        }

        return (Pss(server), database);
    }

    private static int? ParentOf(int process)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static double Pss(int process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process}/smaps_rollup").First(l => l.StartsWith("Pss:", StringComparison.Ordinal));
            return int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1e6;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private sealed class Cli(string program, string login)
    {
        private readonly System.Text.Json.Nodes.JsonNode _login = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(login))!;

        public async Task<TimeSpan> TimeAsync(params string[] arguments)
        {
            var began = Stopwatch.StartNew();
            var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["BYTEPORT_URL"] = (string)_login["url"]!;
            start.Environment["BYTEPORT_TOKEN"] = (string)_login["token"]!;
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            return process.ExitCode == 0 ? began.Elapsed : throw new InvalidOperationException($"{string.Join(' ', arguments)} failed: {await error}");
        }
    }
}

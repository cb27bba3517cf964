using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace BytePort.Bench.Deploy;

/// <summary>Time from <c>byteport deploy</c> to live for a site of 1,000 files, a rollback, and what the idle control plane weighs.</summary>
internal static class DeployBench
{
    private const int Files = 1_000;
    private const int Rounds = 5;

    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(15);

    public static async Task<int> RunAsync(string programs)
    {
        var folder = Directory.CreateTempSubdirectory("byteport-bench-").FullName;
        var data = Path.Combine(folder, "data");
        var serverProgram = Path.Combine(programs, "byteport-server");
        var port = FreePort();
        var clock = Stopwatch.StartNew();
        var start = new ProcessStartInfo(serverProgram, ["--data", data, "--listen", $"127.0.0.1:{port}"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        // As `byteport up` starts it.
        start.Environment["DOTNET_GCgen0size"] = "0x400000";
        start.Environment["MALLOC_ARENA_MAX"] = "2";
        using var server = Process.Start(start)!;
        server.BeginOutputReadLine();
        server.BeginErrorReadLine();
        try
        {
            await AwaitReadyAsync(server, port);
            var started = clock.Elapsed;
            var cli = new Cli(Path.Combine(programs, "byteport"), Path.Combine(data, "login.json"));
            Console.WriteLine($"| Deploy and control plane, median of {Rounds} | |");
            Console.WriteLine("|---|---:|");
            Row("first start to ready (new data folder)", started);
            await Task.Delay(Settle);
            Weigh("idle control plane after start, PSS", server.Id, data);
            await TimeSiteAsync(cli, Path.Combine(folder, "site"));
            await TimeServerAsync(cli, Path.Combine(folder, "app"), port);
            await Task.Delay(Settle);
            Weigh("idle control plane after these deploys, PSS", server.Id, data);
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

    private static async Task TimeSiteAsync(Cli cli, string site)
    {
        string[] deploy = ["deploy", site, "--project", "bench", "--json"];
        WriteSite(site);
        Row("CLI that does nothing (`--version`)", await MedianAsync(() => cli.TimeAsync("--version")));
        Row($"first deploy of {Files} files to live", await cli.TimeAsync(deploy));
        Row($"unchanged deploy of {Files} files to live", await MedianAsync(() => cli.TimeAsync(deploy)));
        var round = 0;
        Row($"deploy with one file of {Files} changed", await MedianAsync(() =>
        {
            File.WriteAllText(Path.Combine(site, "p0.html"), $"changed {round++}");
            return cli.TimeAsync(deploy);
        }));
        Row("rollback of a static site, CLI start included", await MedianAsync(() => cli.TimeAsync("rollback", "bench", "--json")));
    }

    /// <summary>A server without dependencies, so that not npm is measured, under load while it is replaced.</summary>
    private static async Task TimeServerAsync(Cli cli, string app, int port)
    {
        string[] deploy = ["deploy", app, "--project", "server", "--json"];
        Directory.CreateDirectory(app);
        File.WriteAllText(Path.Combine(app, "package.json"), """{"name":"server","version":"1.0.0","scripts":{"start":"node index.js"}}""");
        WriteVersion(0);
        Row("first deploy of a Node server to live", await cli.TimeAsync(deploy));
        await using var load = new Load("server.localhost", port);
        var round = 0;
        Row("redeploy of the Node server, under load", await MedianAsync(() =>
        {
            WriteVersion(++round);
            return cli.TimeAsync(deploy);
        }));
        Row("rollback of the Node server, under load", await MedianAsync(() => cli.TimeAsync("rollback", "server", "--json")));
        var (requests, failed) = await load.StopAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| failed of {requests:N0} requests during these | {failed} |"));

        void WriteVersion(int version) => File.WriteAllText(
            Path.Combine(app, "index.js"), $"require('http').createServer((q, r) => r.end('{version}')).listen(process.env.PORT)");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void Row(string name, TimeSpan time) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {time.TotalMilliseconds:0} ms |"));

    private static async Task<TimeSpan> MedianAsync(Func<Task<TimeSpan>> measure)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < Rounds; i++)
            times.Add(await measure());
        times.Sort();
        return times[Rounds / 2];
    }

    private static async Task AwaitReadyAsync(Process server, int port)
    {
        using var client = new HttpClient();
        for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromMinutes(2); await Task.Delay(20))
        {
            if (server.HasExited)
                throw new InvalidOperationException($"The server ended with exit code {server.ExitCode}.");
            try
            {
                if ((await client.GetAsync(new Uri($"http://127.0.0.1:{port}/readyz"))).IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
        }

        throw new TimeoutException("The server was not ready within two minutes.");
    }

    private static void WriteSite(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "index.html"), "<!doctype html><title>Bench</title>");
        for (var i = 0; i < Files - 1; i++)
            File.WriteAllText(Path.Combine(folder, $"p{i}.html"), $"<!doctype html><title>Page {i}</title>" + string.Concat(Enumerable.Repeat($"<p>Paragraph of page {i}.</p>\n", 40)));
    }

    /// <summary>Proportional set size in MB (10^6 bytes) of the server and of the private PostgreSQL with all its processes.</summary>
    private static void Weigh(string name, int server, string data)
    {
        var postmaster = int.Parse(File.ReadLines(Path.Combine(data, "postgres", "data", "postmaster.pid")).First(), CultureInfo.InvariantCulture);
        var database = Directory.EnumerateDirectories("/proc")
            .Select(path => int.TryParse(Path.GetFileName(path), CultureInfo.InvariantCulture, out var id) ? id : 0)
            .Where(id => id == postmaster || (id > 0 && ParentOf(id) == postmaster))
            .Sum(Pss);
        var ours = Pss(server);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {ours + database:0} MB (server {ours:0}, PostgreSQL {database:0}) |"));
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
        private readonly JsonNode _login = JsonNode.Parse(File.ReadAllText(login))!;

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

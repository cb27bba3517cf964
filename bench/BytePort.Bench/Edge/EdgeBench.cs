using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace BytePort.Bench.Edge;

/// <summary>
/// The edge beside nginx and Caddy: each on one core, the load (and the app behind the proxies) on another, in turns, so
/// that what else the machine does falls on all of them.
/// </summary>
internal static class EdgeBench
{
    public const string StaticHost = "static.localhost";
    public const string ProxyHost = "proxy.localhost";

    private const int ServerCore = 0;
    private const int LoadCore = 1;
    private const int MaxWarmUpSeconds = 12;
    private const int SettledSeconds = 3;

    private static readonly (string Title, string Host, string Path)[] Loads =
    [
        ("static 1 KiB", StaticHost, "/small.html"),
        ("static 100 KiB", StaticHost, "/large.html"),
        ("proxied, 256 B", ProxyHost, "/"),
    ];

    public static async Task<int> RunAsync(bool quick)
    {
        if (Environment.ProcessorCount < 2)
            return Refuse("The bench needs two cores, one for the server and one for the load.");
        foreach (var program in new[] { "taskset", "wrk", "nginx", "caddy" })
        {
            if (!Environment.GetEnvironmentVariable("PATH")!.Split(':').Append("/usr/sbin").Any(folder => File.Exists(Path.Combine(folder, program))))
                return Refuse($"The bench needs {program}. Install it: apt-get install util-linux wrk nginx-light caddy");
        }

        var folder = Directory.CreateTempSubdirectory("byteport-bench-").FullName;
        // nginx drops its rights when root starts it, and then has to get at the files.
        File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32("755", 8));
        try
        {
            WriteFiles(Directory.CreateDirectory(Path.Combine(folder, "www")).FullName);
            await RunAsync(folder, quick ? 3 : 5);
            return 0;
        }
        catch (InvalidOperationException exception)
        {
            return Refuse(exception.Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task RunAsync(string folder, int rounds)
    {
        var (app, nginxPort, caddyPort, edgePort) = (FreePort(), FreePort(), FreePort(), FreePort());
        var (appConfig, nginxConfig, caddyConfig) = (Path.Combine(folder, "app.conf"), Path.Combine(folder, "nginx.conf"), Path.Combine(folder, "Caddyfile"));
        await File.WriteAllTextAsync(appConfig, Peers.Upstream(folder, app));
        await File.WriteAllTextAsync(nginxConfig, Peers.Nginx(folder, nginxPort, app));
        await File.WriteAllTextAsync(caddyConfig, Peers.Caddy(folder, caddyPort, app));
        var none = new Dictionary<string, string>();
        var home = new Dictionary<string, string> { ["GOMAXPROCS"] = "1", ["HOME"] = folder, ["XDG_CONFIG_HOME"] = folder, ["XDG_DATA_HOME"] = folder };
        await using var upstream = await Contestant.StartAsync("app", app, LoadCore, none, "nginx", "-e", "/dev/null", "-c", appConfig);
        await using var nginx = await Contestant.StartAsync("nginx", nginxPort, ServerCore, none, "nginx", "-e", "/dev/null", "-c", nginxConfig);
        await using var caddy = await Contestant.StartAsync("Caddy", caddyPort, ServerCore, home, "caddy", "run", "--adapter", "caddyfile", "--config", caddyConfig);
        await using var edge = await Contestant.StartAsync(
            "BytePort", edgePort, ServerCore, none, Environment.ProcessPath!, EdgeProcess.Verb, Text(edgePort), Path.Combine(folder, "www"), Text(app));
        Contestant[] contestants = [nginx, caddy, edge];
        var results = new Dictionary<(string Load, string Name), List<Sample>>();
        foreach (var (title, host, path) in Loads)
        {
            foreach (var contestant in contestants)
            {
                await WarmUpAsync(contestant, host, path);
                results[(title, contestant.Name)] = [];
            }
        }

        for (var round = 0; round < rounds; round++)
        {
            foreach (var (title, host, path) in Loads)
            {
                foreach (var contestant in contestants)
                {
                    results[(title, contestant.Name)].Add(await MeasureAsync(contestant, host, path));
                }
            }
        }

        Print(results, rounds);
    }

    /// <summary>
    /// Until several seconds on end cost no less than the one before: compilers and caches have settled. The JIT works in
    /// steps with pauses between, so one such second says little.
    /// </summary>
    private static async Task WarmUpAsync(Contestant contestant, string host, string path)
    {
        var best = double.MaxValue;
        var settled = 0;
        for (var second = 0; second < MaxWarmUpSeconds && settled < SettledSeconds; second++)
        {
            var cost = (await MeasureAsync(contestant, host, path)).Cost;
            settled = cost > best * 0.9 ? settled + 1 : 0;
            best = Math.Min(best, cost);
        }
    }

    private static async Task<Sample> MeasureAsync(Contestant contestant, string host, string path)
    {
        var before = contestant.ProcessorSeconds();
        var (requests, perSecond) = await Wrk.RunAsync(LoadCore, 1, host, Url(contestant, path));
        return new Sample(perSecond, (contestant.ProcessorSeconds() - before) / requests * 1e6);
    }

    private static void Print(Dictionary<(string Load, string Name), List<Sample>> results, int rounds)
    {
        Console.WriteLine($"| Edge, one core, median of {rounds} rounds | nginx | Caddy | BytePort | × nginx | × Caddy |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|");
        foreach (var (title, _, _) in Loads)
        {
            var (nginx, caddy, edge) = (Median(title, "nginx"), Median(title, "Caddy"), Median(title, "BytePort"));
            Row($"{title}, requests/s", "N0", nginx.PerSecond, caddy.PerSecond, edge.PerSecond, edge.PerSecond / nginx.PerSecond, edge.PerSecond / caddy.PerSecond);
            Row($"{title}, processor time per request, µs", "N1", nginx.Cost, caddy.Cost, edge.Cost, nginx.Cost / edge.Cost, caddy.Cost / edge.Cost);
        }

        Sample Median(string load, string name)
        {
            var samples = results[(load, name)];
            return new Sample(Middle(samples.Select(sample => sample.PerSecond)), Middle(samples.Select(sample => sample.Cost)));
        }
    }

    private static void Row(string title, string format, double nginx, double caddy, double edge, double toNginx, double toCaddy)
    {
        var culture = CultureInfo.InvariantCulture;
        Console.WriteLine($"| {title} | {nginx.ToString(format, culture)} | {caddy.ToString(format, culture)} | {edge.ToString(format, culture)} | {toNginx.ToString("0.00", culture)} | {toCaddy.ToString("0.00", culture)} |");
    }

    private static double Middle(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static void WriteFiles(string folder)
    {
        var random = new Random(1);
        foreach (var (name, length) in new[] { ("small.html", 1 << 10), ("large.html", 100 << 10) })
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            File.WriteAllBytes(Path.Combine(folder, name), bytes);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Url(Contestant contestant, string path) => $"http://127.0.0.1:{Text(contestant.Port)}{path}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static int Refuse(string why)
    {
        Console.Error.WriteLine(why);
        return 2;
    }

    /// <param name="PerSecond">Requests per second.</param>
    /// <param name="Cost">Processor time of the server, microseconds per request: it tells servers apart even where the load generator is the limit.</param>
    private sealed record Sample(double PerSecond, double Cost);
}

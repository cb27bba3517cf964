using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using EndToEnd.Tests.Platform;

[assembly: AssemblyFixture(typeof(RunningPlatform))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace EndToEnd.Tests.Platform;

/// <summary>The real server as its own process on a temporary data folder, and the real CLI against it.</summary>
public sealed class RunningPlatform : IAsyncLifetime
{
    private readonly string _data = Directory.CreateTempSubdirectory("byteport-e2e-").FullName;
    private Process? _server;

    public static string Root { get; } = FindRoot();

    public int Port { get; } = FreePort();

    public Uri Url => new($"http://127.0.0.1:{Port}");

    public HttpClient Api { get; private set; } = null!;

    public string DataFolder => _data;

    private static string Programs => Environment.GetEnvironmentVariable("BYTEPORT_PROGRAMS") ?? Path.Combine(Root, "artifacts", "programs");

    public async ValueTask InitializeAsync()
    {
        await StartServerAsync();
        var login = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_data, "login.json")))!;
        Api = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = Url, Timeout = TimeSpan.FromMinutes(2) };
        Api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (string)login["token"]!);
    }

    public async ValueTask DisposeAsync()
    {
        Api?.Dispose();
        var (code, _, error) = await RunAsync(Path.Combine(Programs, "byteport-server"), ["--data", _data, "--down"], TimeSpan.FromMinutes(1));
        Assert.True(code == 0, error);
        Directory.Delete(_data, true);
    }

    public async Task StartServerAsync()
    {
        var start = new ProcessStartInfo(Path.Combine(Programs, "byteport-server"), ["--data", _data, "--listen", $"127.0.0.1:{Port}", "--samples", Path.Combine(Root, "samples")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _server = Process.Start(start)!;
        var output = new System.Text.StringBuilder();
        void Keep(object _, DataReceivedEventArgs line)
        {
            lock (output)
            {
                output.AppendLine(line.Data);
            }
        }

        _server.OutputDataReceived += Keep;
        _server.ErrorDataReceived += Keep;
        _server.BeginOutputReadLine();
        _server.BeginErrorReadLine();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = Url };
        for (var began = Stopwatch.StartNew(); began.Elapsed < TimeSpan.FromMinutes(2);)
        {
            Assert.False(_server.HasExited, $"The server ended: {output}");
            try
            {
                if ((await client.GetAsync("/readyz")).IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(50);
        }

        Assert.Fail($"The server was not ready in time: {output}");
    }

    /// <summary>SIGKILL, as a crash or the out-of-memory killer would.</summary>
    public async Task KillServerAsync()
    {
        _server!.Kill();
        await _server.WaitForExitAsync();
    }

    /// <summary>Runs the CLI as a user would.</summary>
    public Task<(int Code, string Output, string Error)> CliAsync(params string[] arguments) => CliAsync(TimeSpan.FromMinutes(6), arguments);

    public Task<(int Code, string Output, string Error)> CliAsync(TimeSpan timeout, params string[] arguments)
        => RunAsync(Path.Combine(Programs, "byteport"), arguments, timeout, new Dictionary<string, string>
        {
            ["BYTEPORT_URL"] = Url.ToString(),
            ["BYTEPORT_TOKEN"] = Api.DefaultRequestHeaders.Authorization!.Parameter!,
        });

    /// <summary>Deploys by the CLI and reads its JSON.</summary>
    public async Task<JsonNode> DeployAsync(string source, string project)
    {
        var (code, output, error) = await CliAsync("deploy", source, "--project", project, "--json");
        Assert.True(output.Length > 0, $"No output, exit code {code}: {error}");
        var result = JsonNode.Parse(output)!;
        Assert.True((code == 0) == ((string?)result["status"] == "live"), $"Exit code {code} with {output} {error}");
        return result;
    }

    public async Task<JsonNode> DeployLiveAsync(string source, string project)
    {
        var result = await DeployAsync(source, project);
        Assert.True((string?)result["status"] == "live", result.ToJsonString() + Environment.NewLine + await BuildLogAsync(project, (int)result["deployment"]!));
        return result;
    }

    public string SampleUrl(string name) => $"{Url}git/samples/{name}.git";

    public async Task<HttpResponseMessage> VisitAsync(string project, string path = "/")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Host = $"{project}.localhost:{Port}";
        return await Api.SendAsync(request);
    }

    public async Task<string> PageAsync(string project, string path = "/")
    {
        using var response = await VisitAsync(project, path);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{path} of {project} answered {response.StatusCode}: {body}");
        return body;
    }

    public async Task<string> BuildLogAsync(string project, int number)
    {
        var page = await Api.GetFromJsonAsync<JsonNode>($"/api/v1/projects/{project}/deployments/{number.ToString(CultureInfo.InvariantCulture)}/logs");
        return string.Join('\n', page!["items"]!.AsArray().Select(line => (string?)line!["text"]));
    }

    public async Task<JsonArray> MachinesAsync(string project)
    {
        var list = await Api.GetFromJsonAsync<JsonNode>("/api/v1/machines");
        return [.. list!["items"]!.AsArray().Where(m => (string?)m!["project"] == project).Select(m => m!.DeepClone())];
    }

    /// <summary>A folder of files that is removed with the platform's data.</summary>
    public string Folder(params (string Name, string Content)[] files)
    {
        var folder = Path.Combine(_data, "test-sources", Guid.NewGuid().ToString("N"));
        foreach (var (name, content) in files)
        {
            var path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, content);
        }

        return folder;
    }

    public static async Task<(int Code, string Output, string Error)> RunAsync(string program, IReadOnlyList<string> arguments, TimeSpan timeout, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(timeout);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(true);
            Assert.Fail($"{program} {string.Join(' ', arguments)} did not end within {timeout}: {await error}");
        }

        return (process.ExitCode, await output, await error);
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "BytePort.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return folder;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

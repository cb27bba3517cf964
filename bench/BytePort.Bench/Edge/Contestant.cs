using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace BytePort.Bench.Edge;

/// <summary>A server process on the measured core.</summary>
internal sealed class Contestant(string name, int port, Process process) : IAsyncDisposable
{
    /// <summary>What /proc counts processor time in (USER_HZ); 100 on every Linux that .NET runs on.</summary>
    private const double TicksPerSecond = 100;

    public string Name { get; } = name;

    public int Port { get; } = port;

    public static async Task<Contestant> StartAsync(
        string name, int port, int core, IReadOnlyDictionary<string, string> environment, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo("taskset", ["-c", core.ToString(CultureInfo.InvariantCulture), program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (variable, value) in environment)
            start.Environment[variable] = value;
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        process.BeginOutputReadLine();
        var errors = process.StandardError.ReadToEndAsync();
        for (var attempt = 0; attempt < 200; attempt++)
        {
            if (process.HasExited)
                throw new InvalidOperationException($"{name} ended at once with code {process.ExitCode}: {await errors}");
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync("127.0.0.1", port);
                return new Contestant(name, port, process);
            }
            catch (SocketException)
            {
                await Task.Delay(50);
            }
        }

        process.Kill(entireProcessTree: true);
        throw new InvalidOperationException($"{name} does not listen on port {port} after 10 s: {await errors}");
    }

    /// <summary>Processor time of the process and its children so far, seconds.</summary>
    public double ProcessorSeconds()
    {
        var children = File.ReadAllText($"/proc/{process.Id}/task/{process.Id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return children.Append(process.Id.ToString(CultureInfo.InvariantCulture)).Sum(id =>
        {
            var stat = File.ReadAllText($"/proc/{id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        });
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }
}

using System.Diagnostics;
using System.Net.Sockets;
using NanoVms.Agent;

namespace NanoVms.Tests.Agent;

/// <summary>The real agent as a process of this computer, serving a socket.</summary>
internal sealed class AgentProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _folder;

    private AgentProcess(Process process, string folder) => (_process, _folder) = (process, folder);

    public int Pid => _process.Id;

    public static async Task<AgentProcess> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("agent").FullName;
        var start = new ProcessStartInfo(await AgentBinary.PathAsync, ["--serve-unix", Path.Combine(folder, "socket")]);
        var agent = new AgentProcess(Process.Start(start)!, folder);
        for (var tries = 0; tries < 500 && !File.Exists(Path.Combine(folder, "socket")); tries++)
            await Task.Delay(10);
        return agent;
    }

    public async Task<Stream> OpenStreamAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        for (var tries = 0; ; tries++)
        {
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_folder, "socket")));
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException) when (tries < 100)
            {
                await Task.Delay(10);
            }
        }
    }

    public async Task<AgentConnection> ConnectAsync() => await AgentConnection.ConnectAsync(await OpenStreamAsync(), Cancel.After(20));

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}

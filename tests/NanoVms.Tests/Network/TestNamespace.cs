using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;

namespace NanoVms.Tests.Network;

/// <summary>A network namespace of its own, with a cable to this computer: it stands in for a guest, or for the internet.</summary>
internal sealed partial class TestNamespace : IAsyncDisposable
{
    private const int NewNetwork = 0x40000000;

    private readonly string _port;

    private TestNamespace(string name, string port)
    {
        Name = name;
        _port = port;
    }

    public string Name { get; }

    /// <param name="port">The name of the cable's end on this computer.</param>
    public static async Task<TestNamespace> CreateAsync(string port, string mac)
    {
        var space = new TestNamespace($"nanovms-{Guid.NewGuid():N}"[..16], port);
        await RunAsync("ip", "netns", "add", space.Name);
        await RunAsync("ip", "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", space.Name);
        await space.IpAsync("link", "set", "lo", "up");
        await space.IpAsync("link", "set", "eth0", "up");
        return space;
    }

    public Task IpAsync(params string[] arguments) => RunAsync("ip", ["-n", Name, .. arguments]);

    /// <summary>Makes a socket that belongs to the namespace, whoever uses it afterwards.</summary>
    public Socket CreateSocket(SocketType type)
    {
        Socket? socket = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                using var space = File.OpenHandle($"/run/netns/{Name}");
                if (SetNamespace(space, NewNetwork) != 0)
                    throw new InvalidOperationException($"setns failed: {Marshal.GetLastPInvokeError()}");
                socket = new Socket(AddressFamily.InterNetwork, type, type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp);
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return socket!;
    }

    public async ValueTask DisposeAsync()
    {
        // The kernel takes a namespace apart some time later; the cable goes now, if unplugging did not take it already.
        _ = await CommandRunner.RunAsync(new Command("ip", "link", "delete", "dev", _port), CancellationToken.None);
        await RunAsync("ip", "netns", "delete", Name);
    }

    private static Task RunAsync(string program, params string[] arguments) =>
        CommandRunner.RunCheckedAsync(new Command(program, arguments), CancellationToken.None);

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeFileHandle space, int type);
}

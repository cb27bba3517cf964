using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using NanoVms.Tests.Drivers.CloudHypervisor;
using NanoVms.Tests.Drivers.Firecracker;
using NanoVms.Tests.Drivers.OpenApi;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>
/// A hypervisor's program: it takes its command line, serves its interface, opens every file that the machine is made of as the hypervisor would,
/// and in the guest's place runs the real agent, reached by the hypervisor's own vsock handshake.
/// </summary>
internal static class FakeVmm
{
    public const string Verb = "fake-vmm";

    /// <summary>Where it says, in its working folder, what was not as described.</summary>
    public const string ViolationsFile = "violations";

    /// <summary>A kernel with this content does not boot.</summary>
    public const string BadKernel = "bad";

    /// <summary>The environment variable with the agent's path.</summary>
    public const string Agent = "FAKE_VMM_AGENT";

    public static async Task<int> RunAsync(string[] arguments)
    {
        try
        {
            Preload();
            return arguments switch
            {
                ["firecracker", "--id", _, "--api-sock", var socket, "--level", "Error"] => await ServeFirecrackerAsync(socket),
                ["cloud-hypervisor", "--api-socket", var socket, "--event-monitor", var events, "--seccomp", "true"]
                    when socket.StartsWith("path=", StringComparison.Ordinal) && events.StartsWith("fd=", StringComparison.Ordinal) =>
                    await ServeCloudHypervisorAsync(socket["path=".Length..], int.Parse(events["fd=".Length..])),
                _ => throw new ArgumentException($"unexpected arguments: {string.Join(' ', arguments)}"),
            };
        }
        catch (Exception e)
        {
            await Console.Error.WriteLineAsync($"{e.GetType().Name}: {e.Message}");
            return 1;
        }
    }

    /// <summary>A hypervisor is one file; what this program has to load is not there any more once its machine runs.</summary>
    private static void Preload()
    {
        foreach (var path in ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(':'))
        {
            var name = Path.GetFileNameWithoutExtension(path);
            if (name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("Microsoft.", StringComparison.Ordinal))
                _ = System.Reflection.Assembly.Load(name);
        }
    }

    private static async Task<int> ServeFirecrackerAsync(string socket)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var fake = new FakeFirecracker
        {
            Ending = () => ended.TrySetResult(),
            Plugging = card => FakeCards.Open(card.GetProperty("iface_id").GetString()!, card.GetProperty("host_dev_name").GetString()!),
        };
        fake.Starting = async described =>
        {
            if (described.TryGetValue("PUT /boot-source", out var boot))
            {
                if (OpenKernel(boot.GetProperty("kernel_image_path"), boot.GetProperty("initrd_path")) is { } bad)
                    return bad;
            }

            foreach (var (order, drive) in described.Where(d => d.Key.StartsWith("PUT /drives/", StringComparison.Ordinal)))
                OpenDisk(drive.GetProperty("path_on_host"), drive.GetProperty("is_read_only").GetBoolean(), order);
            if (described.TryGetValue("PUT /serial", out var serial))
                await File.WriteAllTextAsync(WireFake.Native(serial.GetProperty("serial_out_path").GetString()), "Guest \u001b[1mbooted\n");
            // Each is opened when it is described, and for a snapshot by the name that is said then.
            foreach (var card in described.TryGetValue("network_overrides", out var overrides) ? overrides.EnumerateArray().ToList() : [])
                FakeCards.Open(card.GetProperty("iface_id").GetString()!, card.GetProperty("host_dev_name").GetString()!);
            StartGuest(described["PUT /vsock"].GetProperty("uds_path").GetString()!);
            return null;
        };
        return await ServeAsync(fake, socket, ended.Task);
    }

    private static async Task<int> ServeCloudHypervisorAsync(string socket, int eventsFile)
    {
        await using var fake = new FakeCloudHypervisor();
        fake.Starting = config =>
        {
            if (OpenKernel(config.GetProperty("payload").GetProperty("kernel"), config.GetProperty("payload").GetProperty("initramfs")) is { } bad)
                return Task.FromResult<string?>(bad);
            foreach (var disk in config.GetProperty("disks").EnumerateArray())
                OpenDisk(disk.GetProperty("path"), disk.GetProperty("readonly").GetBoolean(), disk.GetProperty("serial").GetString()!);
            ServeConsole(config.GetProperty("serial").GetProperty("socket").GetString()!);
            StartGuest(config.GetProperty("vsock").GetProperty("socket").GetString()!);
            return Task.FromResult<string?>(null);
        };
        using var events = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(eventsFile, ownsHandle: true), FileAccess.Write, 0);
        fake.Rebooting = () => events.Write("""{"timestamp":{"secs":1,"nanos":2},"source":"vm","event":"rebooting","properties":null}"""u8);
        const string Inner = "inner.sock";
        var relay = new HandoverRelay(WireFake.Native(Inner));
        fake.TakeTap = card => FakeCards.Add(card, relay.Files.TryDequeue(out var tap) ? tap : throw new IOException($"no tap came for {card}"));
        return await ServeAsync(fake, Inner, fake.Quit.Task, () => relay.Start(WireFake.Native(socket)));
    }

    private static async Task<int> ServeAsync(WireFake fake, string socket, Task ended, Action? ready = null)
    {
        fake.Violated = violation => File.AppendAllText(WireFake.Native(ViolationsFile), violation + "\n");
        await fake.StartAsync(socket);
        ready?.Invoke();
        await ended;
        // The answer to the order should still go out.
        await Task.Delay(100);
        return 0;
    }

    private static string? OpenKernel(JsonElement kernel, JsonElement initramfs)
    {
        using var file = File.OpenRead(WireFake.Native(initramfs.GetString()));
        return File.ReadAllText(WireFake.Native(kernel.GetString())) == BadKernel ? "Cannot load kernel due to invalid memory configuration or invalid kernel image: bad magic" : null;
    }

    private static void OpenDisk(JsonElement path, bool readOnly, string name)
    {
        using var file = File.OpenHandle(WireFake.Native(path.GetString()), FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite, FileShare.ReadWrite);
        if (!readOnly)
            RandomAccess.Write(file, Encoding.UTF8.GetBytes(name), 0);
    }

    private static void ServeConsole(string path)
    {
        var listener = Listen(path);
        _ = Task.Run(async () =>
        {
            using var host = await listener.AcceptAsync();
            _ = await host.SendAsync("Guest \u001b[1mbooted\n"u8.ToArray());
            await Task.Delay(Timeout.Infinite);
        });
    }

    /// <summary>The guest's agent, and the way to it.</summary>
    private static void StartGuest(string path)
    {
        const string AgentSocket = "agent.sock";
        // It ends with the jail's processes.
        _ = Process.Start(Environment.GetEnvironmentVariable(Agent)!, ["--serve-unix", AgentSocket]);
        var listener = Listen(path);
        _ = Task.Run(async () =>
        {
            while (true)
                _ = ForwardAsync(await listener.AcceptAsync(), AgentSocket);
        });
    }

    private static async Task ForwardAsync(Socket accepted, string agent)
    {
        await using var host = new NetworkStream(accepted, ownsSocket: true);
        var line = "";
        var one = new byte[1];
        while (!line.EndsWith('\n') && await host.ReadAsync(one) > 0)
            line += (char)one[0];
        using var guest = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await guest.ConnectAsync(new UnixDomainSocketEndPoint(WireFake.Native(agent)));
        }
        catch (SocketException)
        {
            // Nobody listens in the guest yet: the connection is closed without an answer.
            return;
        }

        if (line != "CONNECT 1024\n")
            return;
        await host.WriteAsync("OK 1073741824\n"u8.ToArray());
        await using var inner = new NetworkStream(guest);
        _ = await Task.WhenAny(host.CopyToAsync(inner), inner.CopyToAsync(host));
    }

    private static Socket Listen(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(WireFake.Native(path)));
        listener.Listen();
        return listener;
    }
}

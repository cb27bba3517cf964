using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Tests.Network;

namespace NanoVms.Tests.Machines.User;

/// <summary>Machines of an ordinary user, on a computer of two namespaces: itself, and the world.</summary>
[Collection(nameof(MachineHostTests))]
public sealed class UserHostTests : IAsyncLifetime
{
    private const string World = "198.51.100.2";
    private const string Own = "198.51.100.1";
    private const string OwnPrivate = "10.199.0.1";
    private const int WorldPort = 80;
    private const int OwnPort = 8081;
    private static readonly string[] Forbidden = ["169.254.169.254", "10.123.0.1", "100.64.0.1", "192.168.200.1"];
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(3);
    private readonly List<Socket> _sockets = [];
    private TestNamespace _computer = null!;
    private TestNamespace _world = null!;
    private UserHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        var name = $"nvu{Random.Shared.Next(0x10000):x4}";
        _computer = await TestNamespace.CreateAsync(name + "c", "02:00:00:00:00:02");
        _world = await TestNamespace.CreateAsync(name + "w", "02:00:00:00:00:01");
        // The world's cable leads to the user's computer, and this one's own goes.
        await IpAsync("link", "set", name + "w", "netns", _computer.Name);
        await IpAsync("link", "delete", name + "c");
        await _computer.IpAsync("link", "set", name + "w", "name", "eth0");
        await _computer.IpAsync("address", "add", $"{Own}/24", "dev", "eth0");
        await _computer.IpAsync("address", "add", $"{OwnPrivate}/32", "dev", "lo");
        await _computer.IpAsync("link", "set", "eth0", "up");
        await _computer.IpAsync("route", "add", "default", "via", World);
        await _world.IpAsync("address", "add", $"{World}/24", "dev", "eth0");
        foreach (var forbidden in Forbidden)
            await _world.IpAsync("address", "add", $"{forbidden}/32", "dev", "lo");
        Serve(_world, WorldPort, "the world");
        Serve(_computer, OwnPort, "the computer");
        var names = _world.CreateSocket(SocketType.Dgram);
        names.Bind(new IPEndPoint(IPAddress.Parse("10.123.0.1"), 53));
        _sockets.Add(names);
        _ = TestDns.ServeAsync(names);
        _host = await UserHost.OpenAsync(_computer, "10.123.0.1");
        Assert.Equal("User", await _host.StartAsync());
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
            await _host.DisposeAsync();
        foreach (var socket in _sockets)
            socket.Dispose();
        foreach (var space in new[] { _world, _computer })
        {
            if (space is not null)
                await space.DisposeAsync();
        }
    }

    [Fact]
    public async Task Machine_ReachesTheWorldAndNothingOfTheComputer()
    {
        Assert.StartsWith("started ", await _host.AskAsync("start"), StringComparison.Ordinal);

        Assert.Equal("0 the world", await ReadFromAsync(World, WorldPort));
        foreach (var forbidden in Forbidden)
        {
            Assert.Equal("the world", await ReadAsync(_computer, forbidden, WorldPort));
            Assert.Equal("1", await ReadFromAsync(forbidden, WorldPort));
        }

        // Every address that could be the computer, as it sees itself and as the uplink might.
        Assert.Equal("the computer", await ReadAsync(_computer, "127.0.0.1", OwnPort));
        foreach (var own in new[] { Own, OwnPrivate, "127.0.0.1", "10.203.0.1", "192.0.0.1", "192.0.0.2" })
            Assert.Equal("1", await ReadFromAsync(own, OwnPort));

        // Names by the computer's server, which a guest may not reach itself.
        Assert.Contains("203.0.113.7", await _host.AskAsync("run nslookup app.example"), StringComparison.Ordinal);
        Assert.DoesNotContain("203.0.113.7", await _host.AskAsync("run nslookup app.example 10.123.0.1"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_Killed_TheNextOneHasTheMachineWithItsNetworkAndPorts()
    {
        var started = await _host.AskAsync($"start 127.0.0.1/18080:80/tcp,{Own}/18081:80/tcp,18082:81/tcp");
        Assert.StartsWith("started ", started, StringComparison.Ordinal);
        var machine = started.Split(' ')[1];
        await AnswersAsync();
        var processes = _host.Processes().Select(process => process.Id).Order().ToList();
        Assert.Equal(2, processes.Count);

        await _host.KillAsync();
        await AnswersAsync();
        Assert.Equal($"User {machine}", await _host.StartAsync());

        Assert.Equal(processes, _host.Processes().Select(process => process.Id).Order());
        Assert.Equal("0 the world", await ReadFromAsync(World, WorldPort));
        await AnswersAsync();
        Assert.Contains("18080", await _host.AskAsync("start 18080:80/tcp"), StringComparison.Ordinal);
        Assert.Equal(processes, _host.Processes().Select(process => process.Id).Order());

        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
        Assert.Null(await ReadAsync(_computer, "127.0.0.1", 18080));

        async Task AnswersAsync()
        {
            Assert.Equal("guest", await ReadSoonAsync(_computer, "127.0.0.1", 18080));
            Assert.Equal("guest", await ReadSoonAsync(_world, Own, 18081));
            Assert.Equal("guest", await ReadSoonAsync(_computer, Own, 18081));
            Assert.Equal("guest", await ReadSoonAsync(_world, Own, 18082));
            Assert.Null(await ReadAsync(_world, Own, 18080));
        }
    }

    [Fact]
    public async Task Host_KilledWhileItStartsMachines_LeavesNothing()
    {
        foreach (var delay in new[] { 250 })
        {
            await _host.TellAsync("start");
            await Task.Delay(delay);
            await _host.KillAsync();
            _ = await _host.StartAsync();
            _ = await _host.AskAsync("stop");
            await LeavesNothingAsync();
        }
    }

    [Fact]
    public async Task Machine_SnapshottedAndRestored_HasANetworkOfItsOwn()
    {
        Assert.StartsWith("started ", await _host.AskAsync("start"), StringComparison.Ordinal);
        Assert.Equal("saved", await _host.AskAsync("snapshot"));
        Assert.Equal("stopped", await _host.AskAsync("stop"));
        Assert.StartsWith("restored ", await _host.AskAsync("restore"), StringComparison.Ordinal);
        Assert.Equal("0 the world", await ReadFromAsync(World, WorldPort));
        Assert.Equal("1", await ReadFromAsync(Own, OwnPort));
        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
    }

    [Fact]
    public async Task Machine_SuspendedAndWoken_HasItsNetworkAndPortsAgain()
    {
        var started = await _host.AskAsync("start 127.0.0.1/18080:80/tcp");
        Assert.StartsWith("started ", started, StringComparison.Ordinal);
        Assert.StartsWith("0", await _host.AskAsync("run echo kept > /dev/shm/mark"), StringComparison.Ordinal);
        Assert.Equal("Snapshotted", await _host.AskAsync("suspend"));
        Assert.DoesNotContain(_host.Processes(), process => process.Arguments.Contains("qemu", StringComparison.Ordinal) || process.Arguments.Contains("pasta", StringComparison.Ordinal));
        await _host.KillAsync();
        Assert.Contains(started.Split(' ')[1], await _host.StartAsync(), StringComparison.Ordinal);

        Assert.Equal("Running", await _host.AskAsync("wake"));
        Assert.Equal("0 kept", await _host.AskAsync("run cat /dev/shm/mark"));
        Assert.Equal("0 the world", await ReadFromAsync(World, WorldPort));
        Assert.Equal("1", await ReadFromAsync(Own, OwnPort));
        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
    }

    [Fact]
    public async Task Uplink_KilledAndAddressesNew_TheNetworkIsAsBefore()
    {
        Assert.StartsWith("started ", await _host.AskAsync("start 127.0.0.1/18080:80/tcp"), StringComparison.Ordinal);
        ProcessIdentity.Of(_host.Processes().Single(process => process.Arguments.Contains("pasta", StringComparison.Ordinal)).Id)!.Signal(9);
        var answer = "";
        for (var tries = 0; tries < 10 && answer != "0 the world"; tries++)
            answer = await ReadFromAsync(World, WorldPort);
        Assert.Equal("0 the world", answer);
        Assert.Equal("guest", await ReadSoonAsync(_computer, "127.0.0.1", 18080));

        // An address that the computer gets while the machine runs.
        await _computer.IpAsync("address", "add", "203.0.113.9/32", "dev", "lo");
        Assert.Equal("the computer", await ReadAsync(_computer, "203.0.113.9", OwnPort));
        for (var tries = 0; tries < 5 && answer != "1"; tries++)
            answer = await ReadFromAsync("203.0.113.9", OwnPort);
        Assert.Equal("1", answer);

        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
    }

    [Fact]
    public async Task Port_OfUdp_LeadsToTheMachine()
    {
        var image = await new ImageStore().GetStackAsync("base", null, TestContext.Current.CancellationToken);
        Assert.StartsWith("started ", await _host.AskAsync($"udp {image.Layers[0]} 127.0.0.1/18090:90/udp,{Own}/18091:90/udp"), StringComparison.Ordinal);

        Assert.Equal("heard one", await AskSoonAsync(_computer, "127.0.0.1", 18090, "one"));
        Assert.Equal("heard two", await AskSoonAsync(_computer, Own, 18091, "two"));
        Assert.Equal("heard three", await AskSoonAsync(_world, Own, 18091, "three"));
        Assert.Null(await AskAsync(_world, Own, 18090, "four"));
        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
    }

    [Fact]
    public async Task WhatTakesRoot_IsRefusedBySayingSo()
    {
        var refused = await _host.AskAsync("impossible");
        foreach (var word in new[] { "networks but 'default'", "Group 'team'", "Rate", "PciKinds" })
            Assert.Contains(word, refused, StringComparison.Ordinal);
        Assert.Contains("It takes root", await _host.AskAsync("container"), StringComparison.Ordinal);

        var drivers = (await _host.AskAsync("drivers")).Split(" | ");
        Assert.Contains(drivers, driver => driver.StartsWith("qemu True", StringComparison.Ordinal) && driver.Contains($"without root, as user {UserHost.User}", StringComparison.Ordinal));
        Assert.Equal(3, drivers.Count(driver => driver.Contains("False It takes root", StringComparison.Ordinal)));

        Assert.StartsWith("started ", await _host.AskAsync("alone"), StringComparison.Ordinal);
        _ = Assert.Single(_host.Processes());
    }

    /// <summary>There are no control groups for it, so QEMU alone does it.</summary>
    [Fact]
    public async Task Io_OfAMachine_IsLimited()
    {
        Assert.StartsWith("started ", await _host.AskAsync("slow"), StringComparison.Ordinal);
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.StartsWith("0", await _host.AskAsync("run dd if=/dev/zero of=/x bs=1M count=6 conv=fsync 2>/dev/null"), StringComparison.Ordinal);
        Assert.InRange(System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds, 2.5, 30);
        Assert.Equal("stopped", await _host.AskAsync("stop"));
        await LeavesNothingAsync();
    }

    /// <summary>A hypervisor that a guest has taken over: what its process may do.</summary>
    [Fact]
    public async Task Hypervisor_HasNoRightsAndSeesNothing()
    {
        _ = await _host.AskAsync("start");
        var (id, _) = _host.Processes().Single(process => process.Arguments.Contains("qemu", StringComparison.Ordinal));
        var status = await File.ReadAllTextAsync($"/proc/{id}/status");
        foreach (var set in new[] { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" })
            Assert.Contains($"{set}:\t0000000000000000", status, StringComparison.Ordinal);
        Assert.Contains("NoNewPrivs:\t1", status, StringComparison.Ordinal);
        Assert.Contains("Seccomp:\t2", status, StringComparison.Ordinal);
        // The first of its own namespace: it can neither see nor signal the user's other processes.
        Assert.EndsWith("\t1", status.Split('\n').Single(line => line.StartsWith("NSpid:", StringComparison.Ordinal)), StringComparison.Ordinal);
        var seen = Directory.EnumerateFileSystemEntries($"/proc/{id}/root").Select(Path.GetFileName).Order().ToList();
        Assert.DoesNotContain("home", seen);
        Assert.DoesNotContain("tmp", seen);
        var mounts = await File.ReadAllLinesAsync($"/proc/{id}/mountinfo");
        Assert.All(mounts.Where(line => line.Split(' ')[4] is var place && !place.StartsWith("/dev/", StringComparison.Ordinal) && place != "/proc"), line => Assert.StartsWith("ro", line.Split(' ')[5], StringComparison.Ordinal));

        // From its own network nothing goes out but what the guest sends.
        foreach (var (address, port) in new[] { (World, WorldPort), (Own, OwnPort), ("192.0.0.1", OwnPort) })
        {
            var result = await CommandRunner.RunAsync(
                new Command("nsenter", $"--net=/proc/{id}/ns/net", "--", "curl", "-s", "--max-time", "1", $"http://{address}:{port}"), CancellationToken.None);
            Assert.True(result.ExitCode is 7 or 28, $"{address}: {result.ExitCode}");
        }

        Assert.Equal("destroyed", await _host.AskAsync("destroy"));
        Assert.False(Directory.Exists(Path.Combine(_host.Home, "machines")));
        Assert.Empty(_host.Processes());
    }

    private async Task LeavesNothingAsync()
    {
        for (var tries = 0; tries < 20 && (_host.Processes().Count > 0 || Directory.EnumerateFileSystemEntries(_host.Machines).Any()); tries++)
            await Task.Delay(100);
        Assert.Empty(_host.Processes());
        Assert.Empty(Directory.EnumerateFileSystemEntries(_host.Machines));
    }

    /// <summary>What the guest reads from an address: its exit code and the text. It keeps its end open, which passt of Debian 12 needs.</summary>
    private async Task<string> ReadFromAsync(string address, int port) =>
        (await _host.AskAsync(string.Create(CultureInfo.InvariantCulture, $"run sleep 1 | nc -w 2 {address} {port} 2>/dev/null"))).Trim();

    private static async Task<string?> ReadSoonAsync(TestNamespace from, string address, int port)
    {
        string? text = null;
        for (var tries = 0; tries < 20 && string.IsNullOrEmpty(text); tries++)
        {
            text = await ReadAsync(from, address, port);
            if (string.IsNullOrEmpty(text))
                await Task.Delay(100);
        }

        return text;
    }

    /// <summary>Until the guest's program listens.</summary>
    private static async Task<string?> AskSoonAsync(TestNamespace from, string address, int port, string question)
    {
        string? answer = null;
        for (var tries = 0; tries < 10 && answer is null; tries++)
            answer = await AskAsync(from, address, port, question);
        return answer;
    }

    /// <summary>A datagram and its answer; null for none.</summary>
    private static async Task<string?> AskAsync(TestNamespace from, string address, int port, string question)
    {
        using var socket = from.CreateSocket(SocketType.Dgram);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port, limit.Token);
            _ = await socket.SendAsync(Encoding.ASCII.GetBytes(question), limit.Token);
            var buffer = new byte[100];
            return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Null when nobody answers.</summary>
    private static async Task<string?> ReadAsync(TestNamespace from, string address, int port)
    {
        using var socket = from.CreateSocket(SocketType.Stream);
        using var limit = new CancellationTokenSource(Soon);
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port, limit.Token);
            // Passt of Debian 12 finishes the guest's handshake with the client's first bytes.
            _ = await socket.SendAsync("hello\n"u8.ToArray(), limit.Token);
            var buffer = new byte[100];
            return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token)).Trim();
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    private void Serve(TestNamespace space, int port, string text)
    {
        var listener = space.CreateSocket(SocketType.Stream);
        _sockets.Add(listener);
        listener.Bind(new IPEndPoint(IPAddress.Any, port));
        listener.Listen();
        _ = ServeAsync(listener, Encoding.ASCII.GetBytes(text));
    }

    private static async Task ServeAsync(Socket listener, byte[] text)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptAsync();
                _ = await client.SendAsync(text);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static Task IpAsync(params string[] arguments) => CommandRunner.RunCheckedAsync(new Command("ip", arguments), CancellationToken.None);
}

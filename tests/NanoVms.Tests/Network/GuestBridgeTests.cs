using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Commands;
using NanoVms.Network;

namespace NanoVms.Tests.Network;

/// <summary>The real bridge, rules and name service; network namespaces stand in for two guests and the internet.</summary>
public sealed class GuestBridgeTests : IAsyncLifetime
{
    private const string World = "198.51.100.2";
    private const int Port = 8080;
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-net-").FullName;
    private readonly NetworkOptions _options = new() { BridgeName = $"nvt{Random.Shared.Next(0x10000):x4}", Prefix = "10.201.0.0/24", Upstreams = [World] };
    private readonly List<IAsyncDisposable> _namespaces = [];
    private readonly List<Socket> _sockets = [];
    private GuestBridge _bridge = null!;
    private TestNamespace _world = null!;

    public async ValueTask InitializeAsync()
    {
        try
        {
            await SetUpAsync();
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_bridge is not null)
        {
            await _bridge.RemoveAsync(CancellationToken.None);
            await _bridge.DisposeAsync();
        }

        foreach (var socket in _sockets)
            socket.Dispose();
        foreach (var space in _namespaces)
            await space.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Guest_ReachesTheWorldAndNamesOnly()
    {
        var (guest, lease) = await AddGuestAsync();
        var (other, otherLease) = await AddGuestAsync();
        _ = Serve(other, Port);
        var host = HostListener();

        Assert.True(await ConnectsAsync(guest, World, Port));
        foreach (var forbidden in new[] { "169.254.169.254", "10.123.0.1", "100.64.0.1", "192.168.200.1" })
        {
            Assert.True(await ConnectsAsync(null, forbidden, Port), $"the computer reaches {forbidden}");
            Assert.False(await ConnectsAsync(guest, forbidden, Port), $"a guest reaches {forbidden}");
        }

        // The computer's own ports, by any of its addresses.
        var gateway = _bridge.Prefix.At(1).ToString();
        Assert.True(await ConnectsAsync(null, gateway, host));
        Assert.False(await ConnectsAsync(guest, gateway, host));
        Assert.False(await ConnectsAsync(guest, "198.51.100.1", host));

        // The computer reaches guests; nobody else does.
        Assert.True(await ConnectsAsync(null, otherLease.Address.ToString(), Port));
        Assert.False(await ConnectsAsync(guest, otherLease.Address.ToString(), Port));
        await _world.IpAsync("route", "replace", _bridge.Prefix.ToString(), "via", "198.51.100.1");
        Assert.False(await ConnectsAsync(_world, otherLease.Address.ToString(), Port));

        Assert.Equal(IPAddress.Parse("203.0.113.7"), await ResolveAsync(guest, "app.example"));
        Assert.Null(await ResolveAsync(guest, "rebind.example"));
        Assert.True(await ConnectsAsync(guest, gateway, 53), "names over TCP");
        Assert.Equal("02:42:" + string.Join(':', lease.Address.GetAddressBytes().Select(b => b.ToString("x2"))), lease.Mac);
    }

    /// <summary>A hypervisor that sees the computer's network, and that a guest has taken over.</summary>
    [Fact]
    public async Task Hypervisor_ReachesNothing()
    {
        var (_, lease) = await AddGuestAsync();
        var host = HostListener();
        foreach (var address in new[] { $"{World}:{Port}", $"127.0.0.1:{host}" })
        {
            Assert.True(await ConnectsAsUserAsync(lease.UserId - 1, address), $"others reach {address}");
            Assert.False(await ConnectsAsUserAsync(lease.UserId, address), $"a hypervisor reaches {address}");
        }
    }

    [Fact]
    public async Task Guest_WithAnothersAddress_IsNotHeard()
    {
        var (guest, lease) = await AddGuestAsync();
        var (_, otherLease) = await AddGuestAsync();
        Assert.True(await ConnectsAsync(guest, World, Port));

        await guest.IpAsync("address", "add", $"{otherLease.Address}/24", "dev", "eth0");
        Assert.False(await ConnectsAsync(guest, World, Port, otherLease.Address));

        await guest.IpAsync("link", "set", "eth0", "address", otherLease.Mac);
        Assert.False(await ConnectsAsync(guest, World, Port, lease.Address));
    }

    [Fact]
    public async Task Guest_ReachesItsGroupOnly()
    {
        var (one, oneLease) = await AddGuestAsync("team-a/shop");
        var (two, twoLease) = await AddGuestAsync("team-a/shop");
        var (stranger, strangerLease) = await AddGuestAsync("team-b/shop");
        var (alone, aloneLease) = await AddGuestAsync();
        foreach (var space in new[] { one, two, stranger, alone })
            _ = Serve(space, Port);

        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.True(await ConnectsAsync(one, twoLease.Address.ToString(), Port));
        Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(0.5), "the computer answers for a neighbor at once");
        Assert.True(await ConnectsAsync(two, oneLease.Address.ToString(), Port));
        foreach (var (space, lease) in new[] { (stranger, oneLease), (one, strangerLease), (alone, oneLease), (one, aloneLease), (alone, strangerLease) })
            Assert.False(await ConnectsAsync(space, lease.Address.ToString(), Port));

        // A guest that says it is another is not believed.
        await stranger.IpAsync("address", "add", $"{twoLease.Address}/24", "dev", "eth0");
        Assert.False(await ConnectsAsync(stranger, oneLease.Address.ToString(), Port, twoLease.Address));

        // Rules that are written anew have the group; the place of one that left gives the next guest no right.
        await _bridge.UnplugAsync(_bridge.PortAt(twoLease.Index, "team-a/shop", null), CancellationToken.None);
        Assert.False(await ConnectsAsync(one, twoLease.Address.ToString(), Port));
        await _bridge.DisposeAsync();
        _bridge = await GuestBridge.OpenAsync(
            _folder, _options, bridge => [(bridge.PortAt(oneLease.Index, "team-a/shop", null), []), (bridge.PortAt(strangerLease.Index, "team-a/shop", null), [])], NullLogger.Instance, TimeProvider.System, CancellationToken.None);
        Assert.True(await ConnectsAsync(one, strangerLease.Address.ToString(), Port));
        Assert.False(await ConnectsAsync(one, aloneLease.Address.ToString(), Port));
        Assert.Null(await ResolveAsync(one, "db.internal"));
    }

    [Fact]
    public async Task Open_AfterACrash_RepairsAndAdopts()
    {
        var (guest, lease) = await AddGuestAsync();
        var service = (await File.ReadAllTextAsync(Path.Combine(_folder, "network.json"))).Split("\"id\": ")[1].Split(',')[0];
        await _bridge.DisposeAsync();
        await CommandRunner.RunCheckedAsync(new Command("nft", "delete", "table", "inet", $"byteport_{_bridge.HostId}"), CancellationToken.None);
        await CommandRunner.RunCheckedAsync(new Command("nft", "delete", "table", "bridge", $"byteport_{_bridge.HostId}"), CancellationToken.None);

        _bridge = await OpenAsync(lease.Index);

        Assert.True(await ConnectsAsync(guest, World, Port));
        Assert.False(await ConnectsAsync(guest, "10.123.0.1", Port));
        Assert.Contains($"\"id\": {service},", await File.ReadAllTextAsync(Path.Combine(_folder, "network.json")), StringComparison.Ordinal);
        Assert.NotNull(await ResolveAsync(guest, "app.example"));
    }

    [Fact]
    public async Task Publish_Port_LeadsToTheGuestFromEverywhereButOtherGuests()
    {
        var (space, lease) = await AddGuestAsync();
        var (other, otherLease) = await AddGuestAsync();
        _ = Serve(space, Port);
        var (open, local) = (FreePort(), FreePort());
        PortMapping[] ports = [new(open, Port), new(local, Port, HostAddress: "127.0.0.1")];
        await _bridge.PublishAsync(lease, ports, CancellationToken.None);

        Assert.True(await ConnectsAsync(_world, "198.51.100.1", open));
        // Also from where guests may not go by themselves: a published port serves the network at home.
        Assert.True(await ConnectsAsync(_world, "198.51.100.1", open, IPAddress.Parse("192.168.200.1")));
        Assert.False(await ConnectsAsync(space, "192.168.200.1", Port));
        Assert.True(await ConnectsAsync(null, "198.51.100.1", open));
        Assert.True(await ConnectsAsync(null, "127.0.0.1", open));
        Assert.True(await ConnectsAsync(null, "127.0.0.1", local));
        Assert.False(await ConnectsAsync(_world, "198.51.100.1", local));
        Assert.False(await ConnectsAsync(other, "198.51.100.1", open));
        Assert.False(await ConnectsAsync(other, _bridge.Prefix.At(1).ToString(), open));
        Assert.False(await ConnectsAsync(other, "127.0.0.1", local));

        // All or none, and what another guest has stays its.
        var free = FreePort();
        var taken = await Assert.ThrowsAsync<NetworkException>(() => _bridge.PublishAsync(otherLease, [new(free, Port), new(open, Port)], CancellationToken.None));
        Assert.Contains("Another machine has one of these ports", taken.Message, StringComparison.Ordinal);
        Assert.True(await ConnectsAsync(_world, "198.51.100.1", open));
        Assert.False(await ConnectsAsync(_world, "198.51.100.1", free));

        await _bridge.DisposeAsync();
        _bridge = await OpenAsync(lease.Index, "", ports);
        Assert.True(await ConnectsAsync(_world, "198.51.100.1", open));

        await _bridge.WithdrawAsync(lease, ports, CancellationToken.None);
        Assert.False(await ConnectsAsync(_world, "198.51.100.1", open));
        Assert.False(await ConnectsAsync(null, "127.0.0.1", local));
    }

    [Fact]
    public async Task Publish_PortOfAProgram_IsRefused()
    {
        var (_, lease) = await AddGuestAsync();
        var port = HostListener();
        var refused = await Assert.ThrowsAsync<NetworkException>(() => _bridge.PublishAsync(lease, [new(port, Port)], CancellationToken.None));
        Assert.Contains($"*:{port}/tcp to {Port}", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NameService_Killed_ComesBack()
    {
        var (guest, _) = await AddGuestAsync();
        var id = (await File.ReadAllTextAsync(Path.Combine(_folder, "network.json"))).Split("\"id\": ")[1].Split(',')[0];
        ProcessIdentity.Of(int.Parse(id))!.Signal(9);

        IPAddress? address = null;
        for (var i = 0; i < 50 && address is null; i++)
        {
            await Task.Delay(100);
            address = await ResolveAsync(guest, "app.example", TimeSpan.FromMilliseconds(200));
        }

        Assert.NotNull(address);
    }

    [Fact]
    public async Task Open_BridgeOfAnotherFolder_SaysWhatToDo()
    {
        var failure = await Assert.ThrowsAsync<NetworkException>(() => GuestBridge.OpenAsync(
            _folder + "-other", _options, _ => [], NullLogger.Instance, TimeProvider.System, CancellationToken.None));
        Assert.Contains("Choose another NetworkOptions.BridgeName", failure.Message, StringComparison.Ordinal);
    }

    private async Task SetUpAsync()
    {
        var port = $"{_options.BridgeName}w";
        _world = await TestNamespace.CreateAsync(port, "02:00:00:00:00:01");
        _namespaces.Add(_world);
        await IpAsync("address", "add", "198.51.100.1/24", "dev", port);
        await IpAsync("link", "set", port, "up");
        await _world.IpAsync("address", "add", $"{World}/24", "dev", "eth0");
        await _world.IpAsync("route", "add", "default", "via", "198.51.100.1");
        // Places that the computer reaches and guests must not.
        foreach (var forbidden in new[] { "169.254.169.254", "10.123.0.1", "100.64.0.1", "192.168.200.1" })
        {
            await _world.IpAsync("address", "add", $"{forbidden}/32", "dev", "lo");
            await IpAsync("route", "add", $"{forbidden}/32", "via", World);
        }

        _ = Serve(_world, Port);
        var names = _world.CreateSocket(SocketType.Dgram);
        names.Bind(new IPEndPoint(IPAddress.Any, 53));
        _sockets.Add(names);
        _ = TestDns.ServeAsync(names);
        _bridge = await OpenAsync();
    }

    private Task<GuestBridge> OpenAsync(int? guest = null, string group = "", params PortMapping[] ports) =>
        GuestBridge.OpenAsync(
            _folder, _options, bridge => guest is { } place ? [(bridge.PortAt(place, group, null), ports)] : [], NullLogger.Instance, TimeProvider.System, CancellationToken.None);

    private async Task<(TestNamespace Space, GuestLease Lease)> AddGuestAsync(string group = "")
    {
        var lease = _bridge.LeaseAt(_bridge.Pool.Take()!.Value);
        var space = await TestNamespace.CreateAsync(lease.Tap, lease.Mac);
        _namespaces.Add(space);
        await _bridge.ConfigurePortAsync(_bridge.PortAt(lease.Index, group, null), CancellationToken.None);
        await space.IpAsync("address", "add", $"{lease.Address}/24", "dev", "eth0");
        await space.IpAsync("route", "add", "default", "via", _bridge.Prefix.At(1).ToString());
        return (space, lease);
    }

    private Task Serve(TestNamespace space, int port)
    {
        var listener = space.CreateSocket(SocketType.Stream);
        _sockets.Add(listener);
        listener.Bind(new IPEndPoint(IPAddress.Any, port));
        listener.Listen();
        return Task.CompletedTask;
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Any, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private int HostListener()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(listener);
        listener.Bind(new IPEndPoint(IPAddress.Any, 0));
        listener.Listen();
        return ((IPEndPoint)listener.LocalEndPoint!).Port;
    }

    private static async Task<bool> ConnectsAsUserAsync(uint user, string address)
    {
        var program = Unprivileged.Wrap(new Command("curl", "-s", "--max-time", "1", $"http://{address}"), user);
        const int NoConnection = 7;
        return (await CommandRunner.RunAsync(program, CancellationToken.None)).ExitCode != NoConnection;
    }

    private static async Task<bool> ConnectsAsync(TestNamespace? from, string address, int port, IPAddress? source = null)
    {
        using var socket = from?.CreateSocket(SocketType.Stream) ?? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var limit = new CancellationTokenSource(Soon);
        try
        {
            if (source is not null)
                socket.Bind(new IPEndPoint(source, 0));
            await socket.ConnectAsync(IPAddress.Parse(address), port, limit.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<IPAddress?> ResolveAsync(TestNamespace guest, string name, TimeSpan? wait = null)
    {
        using var socket = guest.CreateSocket(SocketType.Dgram);
        using var limit = new CancellationTokenSource(wait ?? Soon);
        var buffer = new byte[1500];
        try
        {
            await socket.ConnectAsync(_bridge.Prefix.At(1), 53);
            _ = await socket.SendAsync(TestDns.Query(name));
            return TestDns.Address(buffer.AsSpan(0, await socket.ReceiveAsync(buffer, limit.Token)));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    private static Task IpAsync(params string[] arguments) =>
        CommandRunner.RunCheckedAsync(new Command("ip", arguments), CancellationToken.None);
}

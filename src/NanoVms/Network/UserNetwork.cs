using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Machines;
using static NanoVms.Network.HostSwitches;

namespace NanoVms.Network;

/// <summary>
/// The network of a machine host without root: each machine has a network namespace of its own, its hypervisor's, with a tap, rules, and
/// one process that carries what they let through. Nothing of the computer's own network is changed.
/// </summary>
internal sealed class UserNetwork : IHostNetwork
{
    private const string RecordName = "network.json";
    private const string ResolvedServers = "/run/systemd/resolve/resolv.conf";
    private const string TunDevice = "/dev/net/tun";
    private const int NamePort = 53;
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan MaxRetry = TimeSpan.FromMinutes(1);
    private readonly string _folder;
    private readonly NetworkOptions _options;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly HashSet<(string Name, int Port)> _published = [];
    private readonly List<(UserCable Cable, Task Watch)> _cables = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly ILogger _logger;

    private UserNetwork(string folder, NetworkOptions options, NetworkRecord record, int mtu, ILogger logger, TimeProvider time)
    {
        _logger = logger;
        _folder = folder;
        _options = options;
        _time = time;
        HostId = IdOf(folder);
        Prefix = Ipv4Prefix.Parse(record.Prefix);
        Mtu = mtu;
        Pool = new AddressPool(Prefix.Count);
        Networks = new PrivateNetworks(HostId, Ipv4Prefix.Parse(options.PrivatePrefix), mtu, [], _ => { }, time);
    }

    public string HostId { get; }

    public Ipv4Prefix Prefix { get; }

    public int Mtu { get; }

    public AddressPool Pool { get; }

    /// <summary>None.</summary>
    public PrivateNetworks Networks { get; }

    /// <summary>Follows from the folder: a bridge's name is free for every user to choose.</summary>
    public static string IdOf(string folder) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("user " + folder)))[..6];

    public static string MarkOf(string folder) => Uplink.MarkOf(Path.Combine(folder, "machines"));

    /// <summary>Chooses addresses that this computer does not use. Makes nothing.</summary>
    /// <exception cref="NetworkException">The options are not possible, or no address is free.</exception>
    public static async Task<UserNetwork> OpenAsync(string folder, NetworkOptions options, ILogger logger, TimeProvider time, CancellationToken cancellationToken)
    {
        GuestBridge.Validate(options);
        var path = Path.Combine(folder, RecordName);
        var known = SafeFile.ReadJson(path, NetworkJson.Default.NetworkRecord);
        if (known is not { Bridge: "" })
        {
            known = new NetworkRecord("", await GuestBridge.ChoosePrefixAsync(options.Prefix, options, null, logger, cancellationToken), Forwarding: true, null, "");
            SafeFile.WriteJson(path, known, NetworkJson.Default.NetworkRecord);
        }

        var network = new UserNetwork(folder, options, known, HostRoutes.EgressMtu(ReadOrEmpty("/proc/net/route"), MtuOf), logger, time);
        NetworkChange.NetworkAddressChanged += network.OnAddressChanged;
        if (FindFault() is { } fault)
            Log.UserNetworkMissing(logger, fault);
        else
            Log.UserNetworkReady(logger, network.Prefix, network.Mtu);
        return network;
    }

    public static UserNetwork ForRemoval(string folder, NetworkOptions options, ILogger logger, TimeProvider time) =>
        new(folder, options, new NetworkRecord("", options.Prefix, Forwarding: true, null, ""), 0, logger, time);

    public GuestLease LeaseAt(int index) => GuestLease.Create($"bp{HostId}-", Prefix, index);

    public BridgePort PortAt(int index, string group, RateLimits? rate) => new(LeaseAt(index), "");

    public BridgePort PrivatePortAt(int network, int place, RateLimits? rate) => throw NoNetworks();

    public IEnumerable<string> FindErrors(MachineSpec spec)
    {
        if (spec.Network == NetworkMode.None)
            yield break;
        if (FindFault() is { } fault)
            yield return $"{fault} Or give the machine no network.";
        if (spec.Networks.Any(card => !card.IsDefault))
            yield return $"Without root there are no networks but '{NetworkCard.Default}': the others are bridges. Leave them out, or run the machines' host as root.";
        if (spec.Group.Length > 0)
            yield return $"Without root machines do not reach each other, so Group '{spec.Group}' is not possible. Leave it out, or run the machines' host as root.";
        if (spec.Rate is not null)
            yield return "Without root a network's speed is not limited. Leave Rate out, or run the machines' host as root.";
        foreach (var port in spec.Ports.GroupBy(port => (port.Name, port.HostPort)).Where(same => same.DistinctBy(port => port.GuestPort).Count() > 1))
            yield return $"Without root the computer's port {port.Key.HostPort}/{port.Key.Name} leads to one port of the machine, whichever its address; here it leads to {string.Join(" and ", port.Select(p => p.GuestPort).Distinct())}.";
    }

    public Task<PrivateNetwork> CreateNetworkAsync(string owner, string name, int most, CancellationToken cancellationToken) => throw NoNetworks();

    public Task<SafeFileHandle?> PlugAsync(BridgePort port, CancellationToken cancellationToken) => Task.FromResult<SafeFileHandle?>(null);

    /// <remarks>The tap, the rules, and what carries packets, all at once: nobody is in that network yet who could send any.</remarks>
    public async Task ConnectAsync(UserCable cable, CancellationToken cancellationToken)
    {
        var (lease, gateway) = (cable.Port.Lease, Prefix.At(1));
        var card = $"{gateway}/{Prefix.Length.ToString(CultureInfo.InvariantCulture)}";
        var rules = new UserFirewall(lease, gateway, OwnAddresses(), FindNameServer(), cable.Ports);
        try
        {
            var starting = StartUplinkAsync(cable, cancellationToken);
            await Task.WhenAll(MakeTapAsync(), RunAsync(IpCommands.Nft(rules.Install())), starting);
            Follow(cable, await starting);
        }
        catch (CommandException e)
        {
            throw new NetworkException($"The machine's network cannot be made without root: {e.Message}", e);
        }

        async Task MakeTapAsync()
        {
            await RunAsync(IpCommands.Batch(IpCommands.AddTap(lease.Tap, GuestLease.MacOf(gateway), card, Mtu)));
            await RunAsync(IpCommands.PassOn(lease.Tap));
        }

        Task RunAsync(Command command) => CommandRunner.RunCheckedAsync(UserNamespace.Enter(cable.Hypervisor.Id, command), cancellationToken);
    }

    public void Follow(UserCable cable, ProcessIdentity uplink)
    {
        lock (_gate)
        {
            _cables.RemoveAll(other => !other.Cable.Hypervisor.IsAlive);
            _cables.Add((cable, WatchAsync(cable, uplink, _stop.Token)));
        }
    }

    public Task PublishAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken)
    {
        foreach (var port in ports)
            port.ThrowIfTaken();
        lock (_gate)
        {
            // Others that start now do not hold theirs yet.
            if (ports.Any(port => _published.Contains((port.Name, port.HostPort))))
                throw new NetworkException($"Another machine has one of these ports already: {string.Join(", ", ports)}. Choose others, or stop that machine.");
            _published.UnionWith(ports.Select(port => (port.Name, port.HostPort)));
        }

        return Task.CompletedTask;
    }

    public Task WithdrawAsync(GuestLease guest, IReadOnlyList<PortMapping> ports, CancellationToken cancellationToken)
    {
        lock (_gate)
            _published.ExceptWith(ports.Select(port => (port.Name, port.HostPort)));
        return Task.CompletedTask;
    }

    /// <summary>All of it ends with the namespace.</summary>
    public Task UnplugAsync(BridgePort port, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task RemoveAsync(CancellationToken cancellationToken)
    {
        File.Delete(Path.Combine(_folder, RecordName));
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        NetworkChange.NetworkAddressChanged -= OnAddressChanged;
        await _stop.CancelAsync();
        List<Task> watches;
        lock (_gate)
            watches = [.. _cables.Select(entry => entry.Watch)];
        await Task.WhenAll(watches);
        Networks.Dispose();
    }

    private static NetworkException NoNetworks() =>
        new("Without root there are no private networks: they are bridges. Run the machines' host as root for them.");

    /// <summary>What is missing for any network; null for nothing.</summary>
    private static string? FindFault()
    {
        foreach (var program in new[] { Uplink.Program, "ip", "nft", "nsenter" })
        {
            if (ProgramLocator.Find(program) is null)
                return $"A network without root takes '{program}', which is not installed. Install it as root with: apt-get install {ProgramLocator.PackageOf(program)}";
        }

        try
        {
            using var device = File.OpenHandle(TunDevice, FileMode.Open, FileAccess.ReadWrite);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"A network without root takes {TunDevice}, which cannot be opened: {e.Message} Allow it as root with: modprobe tun && chmod 666 {TunDevice}.";
        }
    }

    /// <summary>What no guest is to reach by any of its names, beside what none may reach on any computer.</summary>
    private static List<IPAddress> OwnAddresses() =>
    [
        .. NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(card => card.GetIPProperties().UnicastAddresses)
            .Select(own => own.Address)
            .Where(address => address.AddressFamily == AddressFamily.InterNetwork && !Firewall.IsPrivate(address))
            .Distinct(),
    ];

    /// <summary>A server on this computer's loopback address is asked by the uplink's own way.</summary>
    private IPEndPoint FindNameServer()
    {
        if (_options.Upstreams is [var first, ..])
            return IPEndPoint.Parse(first.Replace('#', ':')) is { Port: not 0 } given ? given : new IPEndPoint(IPAddress.Parse(first), NamePort);
        var servers = HostRoutes.NameServers(ReadOrEmpty("/etc/resolv.conf")).Concat(HostRoutes.NameServers(ReadOrEmpty(ResolvedServers)))
            .Where(server => server.AddressFamily == AddressFamily.InterNetwork);
        return new IPEndPoint(servers.FirstOrDefault(server => !IPAddress.IsLoopback(server)) ?? Uplink.Outer, NamePort);
    }

    /// <summary>Starts the process again when it ends before its machine.</summary>
    private async Task WatchAsync(UserCable cable, ProcessIdentity uplink, CancellationToken cancellationToken)
    {
        var delay = Retry;
        try
        {
            while (true)
            {
                await ProcessEnd.WaitAsync(uplink, cancellationToken);
                _ = uplink.Reap();
                // A machine that is being stopped has it ended as well, a moment after its hypervisor.
                await Task.Delay(delay, _time, cancellationToken);
                if (!cable.Hypervisor.IsAlive)
                    return;
                delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, MaxRetry.Ticks));
                Log.UplinkEnded(_logger, cable.Folder);
                try
                {
                    uplink = await StartUplinkAsync(cable, cancellationToken);
                    if (!cable.Hypervisor.IsAlive)
                        await uplink.KillAsync(_time, cancellationToken);
                }
                catch (Exception e) when (e is NetworkException or CommandException or IOException)
                {
                    Log.UplinkFailed(_logger, cable.Folder, e.Message, delay);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The next host looks after it.
        }
    }

    /// <summary>Tells every machine's rules which addresses this computer has now.</summary>
    private async Task TellAddressesAsync()
    {
        List<UserCable> cables;
        lock (_gate)
            cables = [.. _cables.Select(entry => entry.Cable).Where(cable => cable.Hypervisor.IsAlive)];
        var script = UserFirewall.Replace(OwnAddresses());
        foreach (var cable in cables)
        {
            var result = await CommandRunner.RunAsync(UserNamespace.Enter(cable.Hypervisor.Id, IpCommands.Nft(script)), CancellationToken.None);
            if (!result.Succeeded && cable.Hypervisor.IsAlive)
                Log.AddressesNotTold(_logger, cable.Folder, result.StandardError.Trim());
        }
    }

    private void OnAddressChanged(object? sender, EventArgs e) => _ = Task.Run(TellAddressesAsync);

    private async Task<ProcessIdentity> StartUplinkAsync(UserCable cable, CancellationToken cancellationToken)
    {
        var asksThisComputer = FindNameServer().Address.Equals(Uplink.Outer);
        var command = Uplink.Build(cable.Hypervisor.Id, cable.Folder, cable.Ports, Mtu, asksThisComputer);
        var ready = Path.Combine(cable.Folder, Uplink.PidFile);
        File.Delete(ready);
        using var errors = new ErrorTail();
        var process = DetachedProcess.Start(command, [], errors.ProgramsEnd);
        errors.CloseProgramsEnd();
        cable.Save(process);
        var started = _time.GetTimestamp();
        while (ReadOrEmpty(ready).Length == 0)
        {
            if (!process.IsAlive)
            {
                _ = process.Reap();
                throw new NetworkException($"The machine's network was not connected: {Program(await errors.ReadToEndAsync(TimeSpan.FromSeconds(1), _time))}");
            }

            if (_time.GetElapsedTime(started) > StartLimit)
                throw new NetworkException($"The machine's network was not connected: {Uplink.Program} was not ready after {StartLimit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} seconds.");
            await Task.Delay(Poll, _time, cancellationToken);
        }

        return process;

        // It complains of the system's log where there is none.
        static string Program(string said) => said.Split('\n').LastOrDefault(line => line.Length > 0 && !line.Contains("syslog", StringComparison.Ordinal)) is { } line
            ? $"{Uplink.Program} says: {line}"
            : $"{Uplink.Program} ended at once.";
    }
}

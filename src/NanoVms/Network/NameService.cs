using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>
/// The name server that guests ask, dnsmasq on the bridge's address: a process of its own that outlives this one,
/// without rights but that to its port. Looked after while this object lives.
/// </summary>
internal sealed class NameService(string bridge, Ipv4Prefix prefix, NetworkOptions options, uint userId, ILogger logger, TimeProvider time)
    : IAsyncDisposable
{
    /// <summary>Of the names that machines have for each other, which they know without this service; kept for private use by ICANN.</summary>
    public const string PrivateDomain = "internal";

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMinutes(1);
    private readonly CancellationTokenSource _stop = new();
    private Task _watching = Task.CompletedTask;
    private ProcessIdentity? _process;

    /// <summary>The whole argument list as one string: a running service with another one is out of date.</summary>
    public string Arguments { get; } = Build(bridge, prefix, options, userId).ToString();

    /// <summary>Everything a guest may learn from the service is what the public name system says.</summary>
    public static Command Build(string bridge, Ipv4Prefix prefix, NetworkOptions options, uint userId)
    {
        List<string> arguments =
        [
            "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--log-facility=-",
            // Only on the bridge, and on nothing that is made later.
            $"--interface={bridge}", $"--listen-address={prefix.At(1)}", "--except-interface=lo", "--bind-interfaces", "--no-dhcp-interface=*",
            // The computer's own names stay its own, and no public name leads a guest to an address that it may not reach
            // (not --stop-dns-rebind, which takes documentation networks for private ones).
            "--no-hosts", "--bogus-priv", "--domain-needed", $"--local=/{PrivateDomain}/", .. Firewall.Forbidden.Select(network => $"--bogus-nxdomain={network}"),
            "--cache-size=2000", "--dns-forward-max=500",
        ];
        if (options.Upstreams is { } upstreams)
            arguments.AddRange(["--no-resolv", "--no-poll", .. upstreams.Select(server => $"--server={server}")]);
        else
            arguments.Add("--resolv-file=/etc/resolv.conf");
        return Unprivileged.Wrap(new Command("dnsmasq", arguments), userId, capability: "net_bind_service");
    }

    /// <summary>Adopts the process if it is alive and up to date, else starts one; then looks after it.</summary>
    /// <param name="save">Keeps the process, so that the next host finds it.</param>
    public async Task StartAsync(ProcessIdentity? known, string knownArguments, Action<ProcessIdentity> save, CancellationToken cancellationToken)
    {
        if (known is { IsAlive: true } && knownArguments == Arguments)
        {
            _process = known;
            Log.NameServiceAdopted(logger, known.Id);
        }
        else
        {
            if (known is not null)
                await known.KillAsync(time, cancellationToken);
            await StartProcessAsync(save, cancellationToken);
        }

        _watching = WatchAsync(save, _stop.Token);
    }

    /// <summary>Ends the process.</summary>
    public async Task RemoveAsync(ProcessIdentity? known, CancellationToken cancellationToken)
    {
        await DisposeAsync();
        foreach (var process in new[] { known, _process })
        {
            if (process is not null)
                await process.KillAsync(time, cancellationToken);
        }
    }

    /// <summary>Stops looking after it; the process stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
    }

    private async Task WatchAsync(Action<ProcessIdentity> save, CancellationToken cancellationToken)
    {
        var delay = CheckInterval;
        while (true)
        {
            try
            {
                await Task.Delay(delay, time, cancellationToken);
                if (_process is { IsAlive: true })
                {
                    delay = CheckInterval;
                    continue;
                }

                _ = _process?.Reap();
                Log.NameServiceEnded(logger);
                await StartProcessAsync(save, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is NetworkException or CommandException or IOException)
            {
                delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, MaxDelay.Ticks));
                Log.NameServiceFailed(logger, e.Message, delay);
            }
        }
    }

    private async Task StartProcessAsync(Action<ProcessIdentity> save, CancellationToken cancellationToken)
    {
        using var errors = new ErrorTail();
        var process = DetachedProcess.Start(Build(bridge, prefix, options, userId), [], errors.ProgramsEnd);
        errors.CloseProgramsEnd();
        _process = process;
        save(process);
        await WaitUntilAnsweringAsync(process, errors, cancellationToken);
        Log.NameServiceStarted(logger, process.Id, prefix.At(1));
    }

    private async Task WaitUntilAnsweringAsync(ProcessIdentity process, ErrorTail errors, CancellationToken cancellationToken)
    {
        var address = new IPEndPoint(prefix.At(1), 53);
        var started = time.GetTimestamp();
        while (true)
        {
            if (!process.IsAlive)
            {
                _ = process.Reap();
                var reason = await errors.ReadToEndAsync(TimeSpan.FromSeconds(1), time);
                throw new NetworkException(
                    $"dnsmasq ended at its start on {address}: {reason} If another name server has all addresses, bind that one to its own.");
            }

            try
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(address, cancellationToken);
                return;
            }
            catch (SocketException e) when (time.GetElapsedTime(started) > StartLimit)
            {
                await process.KillAsync(time, cancellationToken);
                var seconds = StartLimit.TotalSeconds.ToString(CultureInfo.InvariantCulture);
                throw new NetworkException($"dnsmasq does not answer on {address} after {seconds} seconds: {e.Message}.", e);
            }
            catch (SocketException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(10), time, cancellationToken);
            }
        }
    }
}

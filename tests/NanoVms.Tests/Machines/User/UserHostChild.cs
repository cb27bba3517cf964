using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace NanoVms.Tests.Machines.User;

/// <summary>A machine host in a process of an ordinary user: it does what it reads, a line for each, and answers with a line.</summary>
internal static class UserHostChild
{
    public const string Verb = "user-host";

    /// <summary>What every machine runs.</summary>
    private const string Servers = "for port in 80 81; do while true; do echo guest | nc -l -p $port >/dev/null; done & done; sleep 1000";

    private const string UdpServer = "exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 90, Proto => \"udp\"); while (defined $s->recv($m, 99)) { $s->send(\"heard $m\") }'";

    /// <param name="home">Holds the user's files: kernel, initramfs and layer are there, machines and cache come.</param>
    public static async Task<int> RunAsync(string home)
    {
        var options = OptionsOf(home);
        string? line;
        await using (var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None))
        {
            await SayAsync(string.Join(' ', host.Machines.Select(machine => machine.Id).Prepend(host.Mode.ToString())));
            while ((line = await Console.In.ReadLineAsync()) is not (null or "destroy"))
                await SayAsync(await AnswerAsync(host, options, line.Split(' ', 2)));
        }

        if (line == "destroy")
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
            await SayAsync("destroyed");
            _ = await Console.In.ReadLineAsync();
        }

        return 0;
    }

    private static MachineHostOptions OptionsOf(string home) => new()
    {
        Folder = Path.Combine(home, "machines"),
        CacheFolder = Path.Combine(home, "cache"),
        Boot = _ => Task.FromResult(new BootFiles(Path.Combine(home, "vmlinux"), Path.Combine(home, "initramfs"))),
        Network = new NetworkOptions { Prefix = "10.203.0.0/24" },
    };

    private static async Task<string> AnswerAsync(MachineHost host, MachineHostOptions options, string[] words)
    {
        var spec = new MachineSpec
        {
            Name = "user",
            MemoryMiB = 96,
            DiskBytes = 1L << 30,
            Layers = [Path.Combine(Path.GetDirectoryName(options.Folder)!, "layer.erofs")],
        };
        try
        {
            switch (words)
            {
                case ["start", var ports]:
                    return await StartAsync(host, spec with { Ports = [.. ports.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(ParsePort)] });
                case ["start"]:
                    return await StartAsync(host, spec);
                case ["udp", var layerAndPorts]:
                    var (layer, published) = (layerAndPorts.Split(' ')[0], layerAndPorts.Split(' ')[1]);
                    return await StartAsync(host, spec with { MemoryMiB = 128, Layers = [layer], Ports = [.. published.Split(',').Select(ParsePort)] }, UdpServer);
                case ["alone"]:
                    return await StartAsync(host, spec with { Network = NetworkMode.None });
                case ["impossible"]:
                    return await StartAsync(host, spec with
                    {
                        Group = "team",
                        Networks = [new NetworkCard(NetworkCard.Default), new NetworkCard("back")],
                        Rate = new RateLimits(1_000_000, null),
                        PciKinds = ["vga"],
                    });
                case ["slow"]:
                    return await StartAsync(host, spec with { Network = NetworkMode.None, Io = new IoLimits(WriteBytes: 2 << 20) });
                case ["container"]:
                    return await StartAsync(host, spec with { Driver = "container" });
                case ["run", var script]:
                    return await RunAsync(host.Machines.First(), script);
                case ["snapshot"]:
                    _ = await host.Machines.First().SnapshotAsync(Path.Combine(options.CacheFolder, "snapshot"), CancellationToken.None);
                    return "saved";
                case ["restore"]:
                    return $"restored {(await host.RestoreAsync(Path.Combine(options.CacheFolder, "snapshot"), s => s with { Ports = [] }, CancellationToken.None)).Id}";
                case ["suspend"]:
                    await host.Machines.First().SuspendAsync(CancellationToken.None);
                    return host.Machines.First().State.ToString();
                case ["wake"]:
                    await host.Machines.First().WakeAsync(null, CancellationToken.None);
                    return host.Machines.First().State.ToString();
                case ["drivers"]:
                    return string.Join(" | ", (await host.GetDriversAsync(CancellationToken.None)).Select(driver => $"{driver.Name} {driver.Usable} {driver.Reason}"));
                case ["stop"]:
                    await Task.WhenAll(host.Machines.Select(machine => machine.StopAsync(TimeSpan.FromSeconds(2), CancellationToken.None)));
                    return "stopped";
                default:
                    return "unknown";
            }
        }
        catch (MachineException e)
        {
            return $"refused {e.Message}";
        }
    }

    private static async Task<string> StartAsync(MachineHost host, MachineSpec spec, string script = Servers)
    {
        var machine = await host.StartAsync(spec, TestHost.Shell(script), CancellationToken.None);
        return string.Create(CultureInfo.InvariantCulture, $"started {machine.Id} {machine.Address} {machine.Timings.ProcessStart.TotalMilliseconds:0} {machine.Timings.AgentReady.TotalMilliseconds:0}");
    }

    private static async Task<string> RunAsync(Machine machine, string script)
    {
        var (exit, output) = await TestHost.RunAsync(machine, script);
        return $"{exit.ExitCode?.ToString(CultureInfo.InvariantCulture) ?? exit.Reason} {output}";
    }

    /// <summary><c>127.0.0.1/8080:80/tcp</c>, the address left out for all.</summary>
    private static PortMapping ParsePort(string text)
    {
        var parts = text.Split('/');
        var ports = parts[^2].Split(':').Select(number => int.Parse(number, CultureInfo.InvariantCulture)).ToArray();
        return new PortMapping(
            ports[0], ports[1], parts[^1] == "udp" ? System.Net.Sockets.ProtocolType.Udp : System.Net.Sockets.ProtocolType.Tcp, parts.Length == 3 ? parts[0] : null);
    }

    private static async Task SayAsync(string line)
    {
        await Console.Out.WriteLineAsync(new StringBuilder(line).Replace('\n', ' ').ToString());
        await Console.Out.FlushAsync();
    }
}

using System.Net;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent.Protocol;

/// <summary>Every frame that a host or an agent may send, once, as it is on the wire; <c>frames.txt</c> has their bytes.</summary>
internal static class GoldenFrames
{
    private static readonly DateTimeOffset Time = new(2024, 5, 6, 7, 8, 9, TimeSpan.Zero);
    private static readonly GuestNetwork Network = new(IPAddress.Parse("10.1.2.3"), 24, IPAddress.Parse("10.1.2.1"), IPAddress.Parse("10.1.2.2"), 1400);

    private static readonly ProcessSpec Spec = new()
    {
        Command = ["sh", "-c", "é"],
        Environment = new Dictionary<string, string> { ["A"] = "x \n" },
        WorkingDirectory = "/srv",
        User = 1000,
        Group = 1002,
    };

    private static readonly ProcessSpec WholeSpec = Spec with
    {
        Account = "node:www",
        Limits = [new ResourceLimit(ResourceKind.OpenFiles, 1024, 4096), new ResourceLimit(ResourceKind.Core, 0, ResourceLimit.Unlimited)],
        Terminal = new TerminalSize(132, 50),
        HasInput = true,
    };

    private static readonly ProcessExit Exit = new(3, null, "The process exited with code 3.");

    public static IReadOnlyList<string> Frozen { get; } = Read();

    /// <summary>What an agent sends: name, type, payload.</summary>
    public static IReadOnlyList<(string Name, FrameType Type, byte[] Payload)> OfAgent { get; } =
    [
        ("hello-ack-not-started", FrameType.HelloAck, Payload(w => Messages.WriteHelloAck(w, Token, 2, Info(MainState.NotStarted, null)))),
        ("hello-ack-exited", FrameType.HelloAck, Payload(w => Messages.WriteHelloAck(w, Token, 1, Info(MainState.Exited, Exit)))),
        ("done", FrameType.Done, []),
        ("failed", FrameType.Failed, Payload(w => w.Text("there is no disk 'x'"))),
        ("output", FrameType.Output, Payload(w => Messages.WriteOutput(w, 0, true, Time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks, "hi\0\n"u8))),
        ("exited", FrameType.Exited, Payload(w => Messages.WriteExit(w, Exit))),
        ("exited-by-signal", FrameType.Exited, Payload(w => Messages.WriteExit(w, new ProcessExit(null, 9, "killed")))),
        ("end", FrameType.End, []),
        ("stats-reply", FrameType.StatsReply, Payload(w => Messages.WriteStats(w, Stats))),
        ("main-exited", FrameType.MainExited, Payload(w => Messages.WriteExit(w, Exit))),
        ("input-credit", FrameType.InputCredit, Payload(w => w.UInt32(Wire.InputWindow))),
        ("services-reply", FrameType.ServicesReply, Payload(w => Messages.WriteServices(w, Services))),
    ];

    private static byte[] Token => Enumerable.Range(0, 16).Select(i => (byte)i).ToArray();

    private static MachineStats Stats => new()
    {
        CpuTime = TimeSpan.FromSeconds(1.5),
        Uptime = TimeSpan.FromSeconds(20),
        MemoryUsed = 1 << 20,
        MemoryTotal = 1L << 33,
        NetworkSent = 77,
        Load1 = 1.25,
        Processes = 12,
        CpuStolen = TimeSpan.FromSeconds(2),
    };

    private static ServiceInfo[] Services =>
    [
        new("main", MainState.Running, 77, true, 1234, null),
        new("job", MainState.Exited, 0, false, 0, Exit),
    ];

    /// <summary>Does all that a host can ask. The guest refuses every request, so that none waits.</summary>
    public static async Task AskAllAsync(AgentConnection connection)
    {
        var config = new GuestConfig
        {
            Hostname = "web-1",
            LayerDevices = ["l0", "l1"],
            DiskDevice = "disk",
            Drives = new Dictionary<string, string> { ["data"] = "v0" },
            Network = Network,
            Hosts = new Dictionary<string, string> { ["db"] = "10.9.8.7" },
            CaBundle = "pem",
            UtcNow = Time,
            RandomSeed = Token,
        };
        Func<Task>[] requests =
        [
            () => connection.ConfigureAsync(config, Cancel.After(20)),
            () => connection.ConfigureAsync(
                config with { ReadOnlyRoot = true, BeforeShutdown = [new HookSpec(WholeSpec, TimeSpan.FromSeconds(7))] }, Cancel.After(20)),
            () => connection.StartMainAsync(Spec, Cancel.After(20)),
            () => connection.SignalMainAsync(15, Cancel.After(20)),
            async () => await connection.ReadMainOutputAsync(77, Cancel.After(20)).GetAsyncEnumerator().MoveNextAsync(),
            () => connection.RunAsync(Spec, null, Cancel.After(20)),
            () => connection.GetStatsAsync(Cancel.After(20)),
            () => connection.SynchronizeAsync(Time, Token, Cancel.After(20)),
            () => connection.ShutdownAsync(TimeSpan.FromSeconds(9), Cancel.After(20)),
            () => connection.FreezeAsync(TimeSpan.FromSeconds(60), Cancel.After(20)),
            () => connection.ThawAsync(new ThawConfig { UtcNow = Time, RandomSeed = Token }, Cancel.After(20)),
            () => connection.ThawAsync(
                new ThawConfig
                {
                    UtcNow = Time,
                    RandomSeed = Token,
                    Network = Network,
                    MacAddress = "02:42:0a:01:02:03",
                    Hostname = "web-2",
                    Hosts = config.Hosts,
                    NewIdentity = true,
                },
                Cancel.After(20)),
            () => connection.StartServiceAsync("cache", Spec, Cancel.After(20)),
            () => connection.SignalServiceAsync("cache", 1, Cancel.After(20)),
            async () => await (await connection.AttachAsync("cache", null, Cancel.After(20))).Exited,
            () => connection.GetServicesAsync(Cancel.After(20)),
            () => connection.CopyInAsync(new MemoryStream(), "/srv/in", Cancel.After(20)),
            async () => await (await connection.CopyOutAsync("/srv/out", Cancel.After(20))).CopyToAsync(Stream.Null, Cancel.After(20)),
        ];
        foreach (var request in requests)
            await Assert.ThrowsAsync<AgentException>(request);

        // One that is not refused, for what follows it.
        var process = await connection.ExecAsync(WholeSpec, Cancel.After(20));
        await process.WriteAsync("in"u8.ToArray(), Cancel.After(20));
        await process.ResizeAsync(new TerminalSize(80, 25), Cancel.After(20));
        await process.SignalAsync(2, Cancel.After(20));
        await process.CloseInputAsync(Cancel.After(20));
        await using var output = process.ReadOutputAsync(Cancel.After(20)).GetAsyncEnumerator();
        while (await output.MoveNextAsync())
        {
        }

        // Of later releases, whose frames come after the others.
        await Assert.ThrowsAsync<AgentException>(() => connection.SetNamesAsync(
            [new GuestName("db.internal", IPAddress.Parse("10.9.8.7")), new GuestName("db.internal", IPAddress.Parse("10.9.8.8"))], Cancel.After(20)));
        await Assert.ThrowsAsync<AgentException>(() => connection.SetCardsAsync([new GuestCard("02:42:0a:01:02:04", Network)], true, Cancel.After(20)));
        await Assert.ThrowsAsync<AgentException>(() => connection.ShutdownAsync(TimeSpan.FromSeconds(9), 3, Cancel.After(20)));
    }

    private static AgentInfo Info(MainState main, ProcessExit? exit) => new(
        "0.1.0", "6.1.0-cloud", new Guid("00112233-4455-6677-8899-aabbccddeeff"), TimeSpan.FromSeconds(3), main != MainState.NotStarted, main, exit);

    private static byte[] Payload(Action<WireWriter> write)
    {
        var writer = new WireWriter();
        write(writer);
        return writer.Written.ToArray();
    }

    private static string[] Read()
    {
        using var reader = new StreamReader(typeof(GoldenFrames).Assembly.GetManifestResourceStream("frames.txt")!);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#').ToArray();
    }
}

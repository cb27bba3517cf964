using System.Net;
using FsCheck;
using FsCheck.Fluent;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent.Protocol;

/// <summary>The bytes are frozen: a machine keeps its agent when the host is upgraded. New cases are added, old ones are not changed.</summary>
public sealed class MessagesTests
{
    private static readonly DateTimeOffset Time = new(2024, 5, 6, 7, 8, 9, TimeSpan.Zero);

    [Fact]
    public void WriteHello_Token_IsFrozen() =>
        Assert.Equal("000102030405060708090a0b0c0d0e0f01000200", Written(w => Messages.WriteHello(w, Enumerable.Range(0, 16).Select(i => (byte)i).ToArray())));

    [Fact]
    public void WriteConfig_AllSet_IsFrozenAndComesBack()
    {
        var config = new GuestConfig
        {
            Hostname = "h",
            LayerDevices = ["a", "b"],
            DiskDevice = "d",
            Drives = new Dictionary<string, string> { ["v"] = "w" },
            Network = new GuestNetwork(IPAddress.Parse("10.1.2.3"), 24, IPAddress.Parse("10.1.2.1"), null, 1400),
            Hosts = new Dictionary<string, string> { ["x"] = "1.2.3.4" },
            CaBundle = "pem",
            UtcNow = Time,
            RandomSeed = new byte[] { 9, 8 },
        };
        const string Frozen =
            "0100000068" + "02000000" + "0100000061" + "0100000062" + "010100000064" + "01000000" + "0100000076" + "0100000077" +
            "01" + "010a010203" + "18" + "010a010201" + "00" + "78050000" +
            "01000000" + "0100000078" + "07000000312e322e332e34" + "0103000000" + "70656d" + "80122e51a5ed3c00" + "020000000908";
        Assert.Equal(Frozen, Written(w => Messages.WriteConfig(w, config)));
        var read = Messages.ReadConfig(Convert.FromHexString(Frozen));
        Assert.Equal(Frozen, Written(w => Messages.WriteConfig(w, read)));
        Assert.Equal(config.Network, read.Network);
        Assert.Equal(Time, read.UtcNow);
    }

    [Fact]
    public void WriteSpec_AllSet_IsFrozen() => Assert.Equal(
        "02000000" + "020000007368" + "02000000c3a9" + "01000000" + "0100000041" + "030000007820 0a".Replace(" ", "", StringComparison.Ordinal) + "010000002f" + "e8030000" + "ea030000",
        Written(w => Messages.WriteSpec(w, new ProcessSpec
        {
            Command = ["sh", "é"],
            Environment = new Dictionary<string, string> { ["A"] = "x \n" },
            User = 1000,
            Group = 1002,
        })));

    [Fact]
    public void WriteWholeSpec_AllSet_IsFrozenAndComesBack()
    {
        var spec = new ProcessSpec
        {
            Command = ["sh"],
            Account = "node:www",
            Limits = [new ResourceLimit(ResourceKind.OpenFiles, 5, ResourceLimit.Unlimited)],
            Terminal = new TerminalSize(132, 50),
            HasInput = true,
        };
        const string Frozen =
            "01000000" + "020000007368" + "00000000" + "010000002f" + "00000000" + "00000000" + "01080000006e6f64653a777777" +
            "01" + "07" + "0500000000000000" + "ffffffffffffffff" + "01" + "8400" + "3200" + "01";
        Assert.Equal(Frozen, Written(w => Messages.WriteWholeSpec(w, spec)));
        var reader = new WireReader(Convert.FromHexString(Frozen));
        var read = Messages.ReadWholeSpec(ref reader);
        reader.End();
        Assert.Equal(Frozen, Written(w => Messages.WriteWholeSpec(w, read)));
        Assert.Equal(spec.Terminal, read.Terminal);
        Assert.Equal(spec.Limits, read.Limits);
    }

    [Fact]
    public void WriteConfigOfVersion2_AllSet_ComesBackBehindVersion1()
    {
        var config = new GuestConfig
        {
            Hostname = "h",
            UtcNow = Time,
            RandomSeed = new byte[] { 1 },
            ReadOnlyRoot = true,
            BeforeShutdown = [new HookSpec(new ProcessSpec { Command = ["x"], Account = "a" }, TimeSpan.FromSeconds(3))],
        };
        var read = Messages.ReadConfig(Convert.FromHexString(Written(w =>
        {
            Messages.WriteConfig(w, config);
            Messages.WriteConfigOfVersion2(w, config);
        })));
        Assert.True(read.ReadOnlyRoot);
        Assert.Equal("a", read.BeforeShutdown.Single().Process.Account);
        Assert.Equal(TimeSpan.FromSeconds(3), read.BeforeShutdown.Single().Limit);
        Assert.False(Messages.ReadConfig(Convert.FromHexString(Written(w => Messages.WriteConfig(w, config)))).ReadOnlyRoot);
    }

    [Fact]
    public void WriteExit_CodeAndSignal_AreFrozen()
    {
        Assert.Equal("0103000000" + "00" + "0100000072", Written(w => Messages.WriteExit(w, new ProcessExit(3, null, "r"))));
        Assert.Equal("00" + "0109000000" + "00000000", Written(w => Messages.WriteExit(w, new ProcessExit(null, 9, ""))));
    }

    [Fact]
    public void WriteHelloAck_ExitedMain_IsFrozen()
    {
        var boot = new Guid("00112233-4455-6677-8899-aabbccddeeff");
        var info = new AgentInfo("1", "6", boot, TimeSpan.FromTicks(5), true, MainState.Exited, new ProcessExit(0, null, ""));
        var written = Written(w => Messages.WriteHelloAck(w, new byte[16], 1, info));
        Assert.Equal(
            new string('0', 32) + "010001000200" + "0100000031" + "0100000036" + "33221100554477668899aabbccddeeff" + "0500000000000000" + "01" + "02" +
            "0100000000" + "00" + "00000000",
            written);
        var reader = new WireReader(Convert.FromHexString(written).AsSpan(22));
        Assert.Equal(info, Messages.ReadInfo(ref reader));
    }

    [Fact]
    public void WriteOutput_Chunk_IsFrozen()
    {
        const string Frozen = "0700000000000000" + "01" + "80122e51a5ed3c00" + "6869";
        Assert.Equal(Frozen, Written(w => Messages.WriteOutput(w, 7, true, Time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks, "hi"u8)));
        var chunk = Messages.ReadOutput(Convert.FromHexString(Frozen));
        Assert.Equal((7L, true, Time), (chunk.Offset, chunk.IsError, chunk.Time));
        Assert.Equal("hi"u8, chunk.Data.Span);
    }

    [Fact]
    public void WriteThaw_AllSetAndNothing_AreFrozenAndComeBack()
    {
        var all = new ThawConfig
        {
            UtcNow = Time,
            RandomSeed = new byte[] { 9, 8 },
            Network = new GuestNetwork(IPAddress.Parse("10.1.2.3"), 24, IPAddress.Parse("10.1.2.1"), null, 1400),
            MacAddress = "02:42:0a:01:02:03",
            Hostname = "h",
            Hosts = new Dictionary<string, string> { ["x"] = "1.2.3.4" },
            NewIdentity = true,
        };
        AssertThaw(
            "80122e51a5ed3c00" + "020000000908" + "01" + "010a010203" + "18" + "010a010201" + "00" + "78050000" +
            "011100000030323a34323a30613a30313a30323a3033" + "010100000068" + "01010000000100000078" + "07000000312e322e332e34" + "01",
            all);
        AssertThaw("80122e51a5ed3c00" + "0100000007" + "00" + "00" + "00" + "00" + "00", new ThawConfig { UtcNow = Time, RandomSeed = new byte[] { 7 } });

        static void AssertThaw(string frozen, ThawConfig config)
        {
            Assert.Equal(frozen, Written(w => Messages.WriteThaw(w, config)));
            var reader = new WireReader(Convert.FromHexString(frozen));
            var read = Messages.ReadThaw(ref reader);
            reader.End();
            Assert.Equal(frozen, Written(w => Messages.WriteThaw(w, read)));
            Assert.Equal(config.Network, read.Network);
        }
    }

    [Fact]
    public void WriteStats_AllSet_IsFrozenAndReadsPastNewFields()
    {
        var stats = new MachineStats
        {
            CpuTime = TimeSpan.FromTicks(1),
            Uptime = TimeSpan.FromTicks(2),
            MemoryUsed = 3,
            MemoryTotal = 4,
            DiskUsed = 5,
            DiskTotal = 6,
            NetworkReceived = 7,
            NetworkSent = 8,
        };
        var frozen = string.Concat(Enumerable.Range(1, 8).Select(i => $"0{i}00000000000000"));
        Assert.StartsWith(frozen, Written(w => Messages.WriteStats(w, stats)), StringComparison.Ordinal);
        Assert.Equal(stats, Messages.ReadStats(Convert.FromHexString(frozen)));

        // Version 2 added fields; a later one may add more.
        stats = stats with
        {
            MemoryCached = 9,
            DiskRead = 10,
            DiskWritten = 11,
            PacketsReceived = 12,
            PacketsSent = 13,
            PacketsLost = 14,
            Load1 = 0.15,
            Load5 = 0.16,
            Load15 = 0.17,
            Processors = 18,
            Processes = 19,
            OutOfMemoryKills = 20,
            CpuWaiting = TimeSpan.FromTicks(21),
            CpuStolen = TimeSpan.FromTicks(22),
        };
        frozen += string.Concat(Enumerable.Range(9, 14).Select(i => $"{i:x2}00000000000000"));
        Assert.Equal(frozen, Written(w => Messages.WriteStats(w, stats)));
        Assert.Equal(stats, Messages.ReadStats(Convert.FromHexString(frozen + "ffff")));
    }

    [Fact]
    public void FrameType_Numbers_AreFrozen() => Assert.Equal(
        "None=0 Hello=1 Configure=2 StartMain=3 SignalMain=4 ReadMain=5 Run=6 Credit=7 Cancel=8 Stats=9 Synchronize=10 Shutdown=11 Freeze=12 Thaw=13 " +
        "Exec=14 Input=15 InputEnd=16 Resize=17 Signal=18 StartService=19 SignalService=20 Attach=21 ListServices=22 CopyIn=23 CopyOut=24 Names=25 Cards=26 " +
        "HelloAck=128 Done=129 Failed=130 Output=131 Exited=132 End=133 StatsReply=134 MainExited=135 InputCredit=136 ServicesReply=137",
        string.Join(' ', Enum.GetValues<FrameType>().Select(type => $"{type}={(int)type}")));

    [Fact]
    public void Readers_AnyBytes_GiveAMessageOrAProtocolException() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(2000),
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes => ReadsOrRefuses(bytes ?? [])));

    [Fact]
    public void Readers_MutatedMessages_GiveAMessageOrAProtocolException()
    {
        var random = new Random(7);
        var seed = Convert.FromHexString(
            "02000000" + "020000007368" + "02000000c3a9" + "01000000" + "0100000041" + "0300000078200a" + "010000002f" + "e8030000" + "ea030000");
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = seed.ToArray();
            for (var changes = random.Next(1, 6); changes > 0; changes--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            Assert.True(ReadsOrRefuses(bytes[..random.Next(bytes.Length + 1)]));
        }
    }

    [Theory]
    [InlineData("ffffffff")]
    [InlineData("ffffff7f")]
    [InlineData("00000080")]
    public void Texts_CountThatLies_AllocatesNothing(string count)
    {
        var bytes = Convert.FromHexString(count);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<ProtocolException>(() => new WireReader(bytes).Texts());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void Line_ControlCharacters_BecomeBlanks()
    {
        var writer = new WireWriter().Text("a\u001b[31m\nb\u009bc");
        Assert.Equal("a [31m b c", new WireReader(writer.Written).Line());
    }

    private static bool ReadsOrRefuses(byte[] bytes)
    {
        Action[] readers =
        [
            () => Messages.ReadConfig(bytes),
            () => Messages.ReadOutput(bytes),
            () => Messages.ReadStats(bytes),
            () => Messages.ReadServices(bytes),
            () =>
            {
                var reader = new WireReader(bytes);
                Messages.ReadThaw(ref reader);
            },
            () =>
            {
                var reader = new WireReader(bytes);
                Messages.ReadWholeSpec(ref reader);
            },
            () =>
            {
                var reader = new WireReader(bytes);
                Messages.ReadSpec(ref reader);
            },
            () =>
            {
                var reader = new WireReader(bytes);
                Messages.ReadInfo(ref reader);
            },
            () =>
            {
                var reader = new WireReader(bytes);
                Messages.ReadExit(ref reader);
            },
        ];
        foreach (var read in readers)
        {
            try
            {
                read();
            }
            catch (ProtocolException)
            {
            }
        }

        return true;
    }

    private static string Written(Action<WireWriter> write)
    {
        var writer = new WireWriter();
        write(writer);
        return Convert.ToHexStringLower(writer.Written);
    }
}

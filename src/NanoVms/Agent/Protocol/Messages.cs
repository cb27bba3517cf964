using NanoVms.Machines;

namespace NanoVms.Agent.Protocol;

/// <summary>The fields of each message, in the order of the wire.</summary>
internal static class Messages
{
    public static void WriteHello(WireWriter writer, ReadOnlySpan<byte> token) =>
        writer.Raw(token).UInt16(Wire.MinVersion).UInt16(Wire.MaxVersion);

    public static void WriteHelloAck(WireWriter writer, ReadOnlySpan<byte> token, ushort version, AgentInfo info)
    {
        writer.Raw(token).UInt16(version).UInt16(Wire.MinVersion).UInt16(Wire.MaxVersion);
        writer.Text(info.Version).Text(info.KernelRelease).Raw(info.BootId.ToByteArray()).Duration(info.Uptime);
        writer.Flag(info.IsConfigured).Byte((byte)info.Main);
        if (info.Main == MainState.Exited)
            WriteExit(writer, info.MainExit!);
    }

    public static AgentInfo ReadInfo(ref WireReader reader)
    {
        var info = new AgentInfo(
            reader.Line(), reader.Line(), new Guid(reader.Raw(16)), reader.Duration(), reader.Flag(), (MainState)reader.Byte(), null);
        if (info.Main > MainState.Exited)
            throw new ProtocolException($"The main process's state is {(int)info.Main}.");
        return info.Main == MainState.Exited ? info with { MainExit = ReadExit(ref reader) } : info;
    }

    public static void WriteConfig(WireWriter writer, GuestConfig config)
    {
        writer.Text(config.Hostname).Texts(config.LayerDevices).OptionalText(config.DiskDevice).Map(config.Drives);
        writer.Flag(config.Network is not null);
        if (config.Network is { } network)
            WriteNetwork(writer, network);
        writer.Map(config.Hosts).OptionalText(config.CaBundle).Time(config.UtcNow).Bytes(config.RandomSeed.Span);
    }

    public static GuestConfig ReadConfig(ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        var config = new GuestConfig
        {
            Hostname = reader.Text(),
            LayerDevices = reader.Texts(),
            DiskDevice = reader.OptionalText(),
            Drives = reader.Map(),
            Network = reader.Flag() ? ReadNetwork(ref reader) : null,
            Hosts = reader.Map(),
            CaBundle = reader.OptionalText(),
            UtcNow = reader.Time(),
            RandomSeed = reader.Bytes().ToArray(),
        };
        if (reader.Rest.IsEmpty)
            return config;
        config = config with { ReadOnlyRoot = reader.Flag(), BeforeShutdown = ReadHooks(ref reader) };
        reader.End();
        return config;
    }

    /// <summary>What version 2 adds to the end of a configuration.</summary>
    public static void WriteConfigOfVersion2(WireWriter writer, GuestConfig config)
    {
        writer.Flag(config.ReadOnlyRoot).Byte((byte)config.BeforeShutdown.Count);
        foreach (var hook in config.BeforeShutdown)
        {
            WriteWholeSpec(writer, hook.Process);
            writer.Duration(hook.Limit);
        }
    }

    public static void WriteThaw(WireWriter writer, ThawConfig config)
    {
        writer.Time(config.UtcNow).Bytes(config.RandomSeed.Span).Flag(config.Network is not null);
        if (config.Network is { } network)
            WriteNetwork(writer, network);
        writer.OptionalText(config.MacAddress).OptionalText(config.Hostname).Flag(config.Hosts is not null);
        if (config.Hosts is { } hosts)
            writer.Map(hosts);
        writer.Flag(config.NewIdentity);
    }

    /// <summary>Fields that a newer host adds after these are not read.</summary>
    public static ThawConfig ReadThaw(ref WireReader reader) => new()
    {
        UtcNow = reader.Time(),
        RandomSeed = reader.Bytes().ToArray(),
        Network = reader.Flag() ? ReadNetwork(ref reader) : null,
        MacAddress = reader.OptionalText(),
        Hostname = reader.OptionalText(),
        Hosts = reader.Flag() ? reader.Map() : null,
        NewIdentity = reader.Flag(),
    };

    public static void WriteSpec(WireWriter writer, ProcessSpec spec) =>
        writer.Texts(spec.Command).Map(spec.Environment).Text(spec.WorkingDirectory).UInt32(spec.User).UInt32(spec.Group);

    public static ProcessSpec ReadSpec(ref WireReader reader) => new()
    {
        Command = reader.Texts(),
        Environment = reader.Map(),
        WorkingDirectory = reader.Text(),
        User = reader.UInt32(),
        Group = reader.UInt32(),
    };

    /// <summary>All of a process's fields, since version 2.</summary>
    public static void WriteWholeSpec(WireWriter writer, ProcessSpec spec)
    {
        WriteSpec(writer, spec);
        writer.OptionalText(spec.Account).Byte((byte)spec.Limits.Count);
        foreach (var limit in spec.Limits)
            writer.Byte((byte)limit.Kind).Int64((long)limit.Soft).Int64((long)limit.Hard);
        writer.Flag(spec.Terminal is not null);
        if (spec.Terminal is { } size)
            WriteSize(writer, size);
        writer.Flag(spec.HasInput);
    }

    public static ProcessSpec ReadWholeSpec(ref WireReader reader)
    {
        var spec = ReadSpec(ref reader);
        var account = reader.OptionalText();
        var limits = new ResourceLimit[reader.Byte()];
        if (limits.Length > Wire.MaxLimits)
            throw new ProtocolException($"A process has {limits.Length} limits.");
        for (var i = 0; i < limits.Length; i++)
            limits[i] = new ResourceLimit((ResourceKind)reader.Byte(), (ulong)reader.Int64(), (ulong)reader.Int64());
        return spec with
        {
            Account = account,
            Limits = limits,
            Terminal = reader.Flag() ? ReadSize(ref reader) : null,
            HasInput = reader.Flag(),
        };
    }

    public static void WriteSize(WireWriter writer, TerminalSize size) => writer.UInt16((ushort)size.Columns).UInt16((ushort)size.Rows);

    public static TerminalSize ReadSize(ref WireReader reader) => new(reader.UInt16(), reader.UInt16());

    public static void WriteServices(WireWriter writer, IReadOnlyCollection<ServiceInfo> services)
    {
        writer.Int32(services.Count);
        foreach (var service in services)
        {
            writer.Text(service.Name).Byte((byte)service.State).Int32(service.ProcessId).Flag(service.HasTerminal).Int64(service.OutputBytes);
            if (service.State == MainState.Exited)
                WriteExit(writer, service.Exit!);
        }
    }

    public static IReadOnlyList<ServiceInfo> ReadServices(ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        var count = reader.Int32();
        if (count is < 0 or > Wire.MaxServices)
            throw new ProtocolException($"A guest has {count} services.");
        var services = new ServiceInfo[count];
        for (var i = 0; i < count; i++)
        {
            var service = new ServiceInfo(reader.Line(), (MainState)reader.Byte(), reader.Int32(), reader.Flag(), reader.Int64(), null);
            if (service.State > MainState.Exited || service.OutputBytes < 0)
                throw new ProtocolException($"A service's state is {(int)service.State} and its output {service.OutputBytes} bytes.");
            services[i] = service.State == MainState.Exited ? service with { Exit = ReadExit(ref reader) } : service;
        }

        return services;
    }

    public static void WriteExit(WireWriter writer, ProcessExit exit) =>
        writer.OptionalInt32(exit.ExitCode).OptionalInt32(exit.Signal).Text(exit.Reason);

    public static ProcessExit ReadExit(ref WireReader reader)
    {
        var exit = new ProcessExit(reader.OptionalInt32(), reader.OptionalInt32(), reader.Line());
        return exit is { ExitCode: null or (>= 0 and <= 255), Signal: null or (>= 1 and <= 127) }
            ? exit
            : throw new ProtocolException($"An exit has code {exit.ExitCode} and signal {exit.Signal}.");
    }

    /// <summary>The data of the chunk follows to the end of the payload.</summary>
    public static void WriteOutput(WireWriter writer, long offset, bool isError, long time, ReadOnlySpan<byte> data) =>
        writer.Int64(offset).Flag(isError).Int64(time).Raw(data);

    public static OutputChunk ReadOutput(ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        var offset = reader.Int64();
        var isError = reader.Flag();
        var time = reader.Time();
        var data = reader.Rest;
        if (offset < 0 || data.IsEmpty || data.Length > Wire.MaxOutput)
            throw new ProtocolException($"An output frame at {offset} holds {data.Length} bytes.");
        return new OutputChunk(offset, isError, data.ToArray(), time);
    }

    public static void WriteStats(WireWriter writer, MachineStats stats)
    {
        writer.Duration(stats.CpuTime).Duration(stats.Uptime).Int64(stats.MemoryUsed).Int64(stats.MemoryTotal);
        writer.Int64(stats.DiskUsed).Int64(stats.DiskTotal).Int64(stats.NetworkReceived).Int64(stats.NetworkSent);

        // Since version 2.
        writer.Int64(stats.MemoryCached).Int64(stats.DiskRead).Int64(stats.DiskWritten);
        writer.Int64(stats.PacketsReceived).Int64(stats.PacketsSent).Int64(stats.PacketsLost);
        writer.Int64(Hundredths(stats.Load1)).Int64(Hundredths(stats.Load5)).Int64(Hundredths(stats.Load15));
        writer.Int64(stats.Processors).Int64(stats.Processes).Int64(stats.OutOfMemoryKills);
        writer.Duration(stats.CpuWaiting).Duration(stats.CpuStolen);

        static long Hundredths(double load) => (long)Math.Round(load * 100);
    }

    public static MachineStats ReadStats(ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        var stats = new MachineStats
        {
            CpuTime = reader.Duration(),
            Uptime = reader.Duration(),
            MemoryUsed = Size(ref reader),
            MemoryTotal = Size(ref reader),
            DiskUsed = Size(ref reader),
            DiskTotal = Size(ref reader),
            NetworkReceived = Size(ref reader),
            NetworkSent = Size(ref reader),
        };
        if (reader.Rest.IsEmpty)
            return stats;
        return stats with
        {
            MemoryCached = Size(ref reader),
            DiskRead = Size(ref reader),
            DiskWritten = Size(ref reader),
            PacketsReceived = Size(ref reader),
            PacketsSent = Size(ref reader),
            PacketsLost = Size(ref reader),
            Load1 = Size(ref reader) / 100.0,
            Load5 = Size(ref reader) / 100.0,
            Load15 = Size(ref reader) / 100.0,
            Processors = Size(ref reader),
            Processes = Size(ref reader),
            OutOfMemoryKills = Size(ref reader),
            CpuWaiting = reader.Duration(),
            CpuStolen = reader.Duration(),
        };

        // Fields that a newer agent adds after these are not read.
        static long Size(ref WireReader reader) =>
            reader.Int64() is >= 0 and var size ? size : throw new ProtocolException("A size is negative.");
    }

    public static void WriteNames(WireWriter writer, IReadOnlyCollection<GuestName> names)
    {
        writer.Int32(names.Count);
        foreach (var name in names)
            writer.Text(name.Name).OptionalAddress(name.Address);
    }

    public static GuestName[] ReadNames(ref WireReader reader)
    {
        var count = reader.Int32();
        if (count is < 0 or > Wire.MaxNames)
            throw new ProtocolException($"A guest is told {count} names.");
        var names = new GuestName[count];
        for (var i = 0; i < count; i++)
            names[i] = new GuestName(reader.Text(), reader.OptionalAddress() ?? throw new ProtocolException("A name has no address."));
        return names;
    }

    public static void WriteCards(WireWriter writer, IReadOnlyCollection<GuestCard> cards, bool forwards)
    {
        writer.Flag(forwards).Byte((byte)cards.Count);
        foreach (var card in cards)
        {
            writer.Text(card.MacAddress);
            WriteNetwork(writer, card.Network);
        }
    }

    /// <summary>The cards, after whether the guest forwards packets between its cards.</summary>
    public static GuestCard[] ReadCards(ref WireReader reader, out bool forwards)
    {
        forwards = reader.Flag();
        var cards = new GuestCard[reader.Byte()];
        if (cards.Length >= Wire.MaxCards)
            throw new ProtocolException($"A guest has {cards.Length} further cards.");
        for (var i = 0; i < cards.Length; i++)
            cards[i] = new GuestCard(reader.Text(), ReadNetwork(ref reader));
        return cards;
    }

    private static HookSpec[] ReadHooks(ref WireReader reader)
    {
        var hooks = new HookSpec[reader.Byte()];
        if (hooks.Length > Wire.MaxHooks)
            throw new ProtocolException($"A guest has {hooks.Length} hooks.");
        for (var i = 0; i < hooks.Length; i++)
            hooks[i] = new HookSpec(ReadWholeSpec(ref reader), reader.Duration());
        return hooks;
    }

    private static void WriteNetwork(WireWriter writer, GuestNetwork network)
    {
        writer.OptionalAddress(network.Address).Byte((byte)network.PrefixLength);
        writer.OptionalAddress(network.Gateway).OptionalAddress(network.DnsServer).Int32(network.Mtu);
    }

    private static GuestNetwork ReadNetwork(ref WireReader reader) => new(
        reader.OptionalAddress() ?? throw new ProtocolException("A network has no address."),
        reader.Byte(),
        reader.OptionalAddress(),
        reader.OptionalAddress(),
        reader.Int32());
}

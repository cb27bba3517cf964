using NanoVms.Agent.Copies;
using NanoVms.Agent.Guest;
using NanoVms.Agent.Interop;
using NanoVms.Agent.Processes;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>Does what the host asks, and answers every request exactly once. No request can end the agent.</summary>
internal sealed class Dispatcher
{
    private const string Version = "0.1.0";

    // What agents of protocol 1 gave.
    private static readonly TimeSpan MainGrace = TimeSpan.FromSeconds(2);

    private readonly EventLoop _loop;
    private readonly HostChannel _channel;
    private readonly Reaper _reaper;
    private readonly GuestSystem? _guest;
    private readonly Services _services;
    private readonly MessageAssembler _assembler = new();
    private readonly StreamTable _streams;
    private readonly WireWriter _writer = new();
    private LoopTimer? _thawing;
    private Shutdown? _shutdown;
    private bool _greeted;
    private bool _configured;

    /// <param name="guest">Null when the agent serves processes of a computer that is not its own.</param>
    public Dispatcher(EventLoop loop, HostChannel channel, Reaper reaper, GuestSystem? guest)
    {
        (_loop, _channel, _reaper, _guest) = (loop, channel, reaper, guest);
        _streams = new StreamTable(channel, Fail);
        _services = new Services(loop, reaper);
        _services.Main.Exited = SendMainExited;
        channel.Received = OnFrame;
        channel.Lost = Forget;
        loop.Idle = _streams.Pump;
    }

    /// <summary>Set by a shutdown that was answered.</summary>
    public bool IsStopping { get; private set; }

    private void OnFrame(in Frame frame)
    {
        if (frame.Type == FrameType.Hello)
        {
            Greet(frame.Payload);
            return;
        }

        if (!_greeted)
            return;
        try
        {
            if (_assembler.TryAdd(frame, out var message))
                Handle(frame.Type, frame.Stream, message);
        }
        catch (Exception failure)
        {
            // Whatever it is, the guest's other processes must not suffer from one request.
            Fail(frame.Stream, failure is AgentFailure or ProtocolException
                ? failure.Message
                : $"the agent failed: {failure.GetType().Name} {failure.Message}");
        }
    }

    private void Greet(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < Wire.TokenLength + 4)
            return;
        var reader = new WireReader(payload);
        var token = reader.Raw(Wire.TokenLength);
        var (least, most) = (reader.UInt16(), reader.UInt16());
        var version = Math.Min(most, Wire.MaxVersion);
        _greeted = version >= Math.Max(least, Wire.MinVersion);
        Forget();
        _channel.ResetOutput();
        _writer.Clear();
        Messages.WriteHelloAck(_writer, token, _greeted ? version : (ushort)0, Describe());
        _channel.Send(FrameType.HelloAck, 0, _writer.Written);
    }

    private AgentInfo Describe()
    {
        _ = Guid.TryParse(Files.TryReadText("/proc/sys/kernel/random/boot_id", 64).AsSpan().Trim(), out var boot);
        var release = Files.TryReadText("/proc/sys/kernel/osrelease", 256).Trim();
        return new AgentInfo(Version, release, boot, TimeSpan.FromTicks(Clock.Uptime), _configured, _services.Main.State, _services.Main.Exit);
    }

    private void Handle(FrameType type, uint stream, ReadOnlySpan<byte> message)
    {
        if (_shutdown is not null && StartsSomething(type))
            throw new AgentFailure("the guest is shutting down");

        // Whatever writes to a frozen disk waits for its thaw, and the agent must not: it is the one who does that.
        if (_guest is { IsFrozen: true } && StartsSomething(type))
            throw new AgentFailure("the guest is frozen; thaw it first");
        var reader = new WireReader(message);
        switch (type)
        {
            case FrameType.Credit:
                var granted = reader.UInt32();
                _streams.Tell(stream, s => s.Grant(granted));
                return;
            case FrameType.Cancel:
                _streams.Tell(stream, s => s.Cancel());
                return;
            case FrameType.Input:
                _streams.TakeInput(stream, message);
                return;
            case FrameType.InputEnd:
                _streams.Tell(stream, s => s.EndInput());
                return;
            case FrameType.Resize:
                var size = Messages.ReadSize(ref reader);
                _streams.Tell(stream, s => s.Resize(size));
                return;
            case FrameType.Signal:
                var signal = reader.Int32();
                _streams.Tell(stream, s => s.Signal(signal));
                return;
            case FrameType.ReadMain:
                Follow(stream, _services.Main, reader.Int64(), reader.UInt32(), attaches: false);
                return;
            case FrameType.Attach:
                Follow(stream, _services.Find(reader.Text()), reader.Int64(), reader.UInt32(), attaches: true);
                return;
            case FrameType.Run:
                Run(stream, Messages.ReadSpec(ref reader), reader.UInt32());
                return;
            case FrameType.Exec:
                Run(stream, Messages.ReadWholeSpec(ref reader), reader.UInt32());
                return;
            case FrameType.CopyIn:
                _streams.CheckRoom(stream);
                _streams.Add(new CopyIn(stream, _channel, reader.Text(), () => _guest is { IsFrozen: true }), 0);
                return;
            case FrameType.CopyOut:
                _streams.CheckRoom(stream);
                _streams.Add(new CopyOut(stream, _channel, reader.Text()), reader.UInt32());
                return;
            case FrameType.ListServices:
                _writer.Clear();
                Messages.WriteServices(_writer, _services.List());
                _channel.Send(FrameType.ServicesReply, stream, _writer.Written);
                return;
            case FrameType.Stats:
                _writer.Clear();
                Messages.WriteStats(_writer, _guest?.ReadStatistics() ?? Statistics.Read(-1));
                _channel.Send(FrameType.StatsReply, stream, _writer.Written);
                return;
            case FrameType.Configure:
                if (_configured)
                    throw new AgentFailure("the guest was configured already");
                _guest?.Configure(Messages.ReadConfig(message));
                _configured = true;
                break;
            case FrameType.StartMain:
                _services.Start(Wire.MainService, Messages.ReadSpec(ref reader));
                break;
            case FrameType.StartService:
                _services.Start(reader.Text(), Messages.ReadWholeSpec(ref reader));
                break;
            case FrameType.SignalMain:
                _services.Main.Signal(reader.Int32());
                break;
            case FrameType.SignalService:
                _services.Find(reader.Text()).Signal(reader.Int32());
                break;
            case FrameType.Synchronize:
                GuestSystem.Synchronize(_guest, reader.Time(), reader.Bytes());
                break;
            case FrameType.Freeze:
                Freeze(reader.Duration());
                break;
            case FrameType.Thaw:
                Thaw(Messages.ReadThaw(ref reader));
                break;
            case FrameType.Names:
                _guest?.SetNames(Messages.ReadNames(ref reader));
                break;
            case FrameType.Cards:
                _guest?.SetCards(Messages.ReadCards(ref reader, out var forwards), forwards);
                break;
            case FrameType.Shutdown:
                var grace = reader.Rest.IsEmpty ? MainGrace : reader.Duration();
                ShutDown(grace, reader.Rest.IsEmpty ? Libc.SIGTERM : reader.Int32());
                break;
            default:
                throw new AgentFailure($"this agent does not know message {(int)type}");
        }

        _channel.Send(FrameType.Done, stream, default);
    }

    private static bool StartsSomething(FrameType type) => type is
        FrameType.Run or FrameType.Exec or FrameType.Configure or FrameType.StartMain or FrameType.StartService or FrameType.CopyIn or FrameType.Names
        or FrameType.Cards;

    private void ShutDown(TimeSpan grace, int stopSignal)
    {
        if (_shutdown is not null)
        {
            // Asked twice, what is left of hooks and grace is skipped.
            IsStopping = true;
            return;
        }

        _guest?.Unfreeze();
        _shutdown = new Shutdown(_loop, _services, grace, stopSignal, () => _streams.IsDrained && !_channel.HasOutput, () => IsStopping = true);
        _shutdown.Begin(_guest?.BeforeShutdown ?? []);
    }

    private void Freeze(TimeSpan limit)
    {
        if (_guest is null)
            throw new AgentFailure("this agent only serves processes; the computer is not its own to freeze");
        if (_shutdown is not null)
            throw new AgentFailure("the guest is shutting down");
        _thawing?.Stop();
        // A host that died in the middle of a snapshot must not leave a machine that never moves again.
        _thawing = _loop.After(limit, _guest.Unfreeze);
        _guest.Freeze();
    }

    private void Thaw(ThawConfig config)
    {
        if (_guest is null)
            return;
        _guest.Thaw(config);
        _thawing?.Stop();
    }

    private void Follow(uint stream, Service service, long from, uint credit, bool attaches)
    {
        _streams.CheckRoom(stream);
        if (attaches && service.State == MainState.NotStarted)
            throw new AgentFailure("the main process was not started yet");
        _streams.Add(new ServiceStream(stream, _channel, service, attaches ? from : Math.Max(from, 0), attaches), credit);
    }

    private void Run(uint stream, ProcessSpec spec, uint credit)
    {
        _streams.CheckRoom(stream);
        _streams.Add(new Exec(stream, _channel, _loop, _reaper, spec), credit);
    }

    private void SendMainExited()
    {
        if (!_greeted)
            return;
        var writer = new WireWriter();
        Messages.WriteExit(writer, _services.Main.Exit!);
        _channel.Send(FrameType.MainExited, 0, writer.Written);
    }

    private void Fail(uint stream, string message)
    {
        const int MaxMessage = 4096;
        var writer = new WireWriter();
        writer.Text(message.Length > MaxMessage ? message[..MaxMessage] : message);
        _channel.Send(FrameType.Failed, stream, writer.Written);
    }

    private void Forget()
    {
        _streams.Clear();
        _assembler.Reset();
    }
}

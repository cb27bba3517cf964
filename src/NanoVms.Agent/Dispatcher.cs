using NanoVms.Agent.Guest;
using NanoVms.Agent.Interop;
using NanoVms.Agent.Processes;
using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>Does what the host asks, and answers every request exactly once. No request can end the agent.</summary>
internal sealed class Dispatcher
{
    private const string Version = "0.1.0";

    private readonly EventLoop _loop;
    private readonly HostChannel _channel;
    private readonly Reaper _reaper;
    private readonly GuestSystem? _guest;
    private readonly MainProcess _main;
    private readonly MessageAssembler _assembler = new();
    private readonly Dictionary<uint, OutputStream> _streams = [];
    private readonly List<uint> _finished = [];
    private readonly WireWriter _writer = new();
    private LoopTimer? _thawing;
    private bool _greeted;
    private bool _configured;

    /// <param name="guest">Null when the agent serves processes of a computer that is not its own.</param>
    public Dispatcher(EventLoop loop, HostChannel channel, Reaper reaper, GuestSystem? guest)
    {
        (_loop, _channel, _reaper, _guest) = (loop, channel, reaper, guest);
        _main = new MainProcess(loop, reaper) { Exited = SendMainExited };
        channel.Received = OnFrame;
        channel.Lost = Forget;
        loop.Idle = Pump;
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
        return new AgentInfo(Version, release, boot, TimeSpan.FromTicks(Clock.Uptime), _configured, _main.State, _main.Exit);
    }

    private void Handle(FrameType type, uint stream, ReadOnlySpan<byte> message)
    {
        // Whatever writes to a frozen disk waits for its thaw, and the agent must not: it is the one who does that.
        if (_guest is { IsFrozen: true } && type is FrameType.Run or FrameType.Configure or FrameType.StartMain)
            throw new AgentFailure("the guest is frozen; thaw it first");
        var reader = new WireReader(message);
        switch (type)
        {
            case FrameType.Credit:
                if (_streams.TryGetValue(stream, out var granted))
                    granted.Grant(reader.UInt32());
                return;
            case FrameType.Cancel:
                if (_streams.TryGetValue(stream, out var canceled))
                    canceled.Cancel();
                return;
            case FrameType.ReadMain:
                OpenReader(stream, reader.Int64(), reader.UInt32());
                return;
            case FrameType.Run:
                CheckRoom(stream);
                var spec = Messages.ReadSpec(ref reader);
                var credit = reader.UInt32();
                var exec = new Exec(stream, _channel, _loop, _reaper, spec);
                exec.Grant(credit);
                _streams.Add(stream, exec);
                return;
            case FrameType.Stats:
                _writer.Clear();
                Messages.WriteStats(_writer, Statistics.Read(_guest?.DiskFolder ?? -1));
                _channel.Send(FrameType.StatsReply, stream, _writer.Written);
                return;
            case FrameType.Configure:
                if (_configured)
                    throw new AgentFailure("the guest was configured already");
                _guest?.Configure(Messages.ReadConfig(message));
                _configured = true;
                break;
            case FrameType.StartMain:
                _main.Start(Messages.ReadSpec(ref reader));
                break;
            case FrameType.SignalMain:
                _main.Signal(reader.Int32());
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
            case FrameType.Shutdown:
                _guest?.Unfreeze();
                IsStopping = true;
                break;
            default:
                throw new AgentFailure($"this agent does not know message {(int)type}");
        }

        _channel.Send(FrameType.Done, stream, default);
    }

    private void Freeze(TimeSpan limit)
    {
        if (_guest is null)
            throw new AgentFailure("this agent only serves processes; the computer is not its own to freeze");
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

    private void OpenReader(uint stream, long from, uint credit)
    {
        CheckRoom(stream);
        if (from < 0 || from > _main.Ring.End)
            throw new AgentFailure($"the main process's output has {_main.Ring.End} bytes, it cannot be read from {from}");
        var opened = new MainReader(stream, _channel, _main, from);
        opened.Grant(credit);
        _streams.Add(stream, opened);
    }

    private void CheckRoom(uint stream)
    {
        if (_streams.Count >= Wire.MaxStreams)
            throw new AgentFailure($"{Wire.MaxStreams} streams are open, no more are possible");
        if (_streams.ContainsKey(stream))
            throw new AgentFailure($"stream {stream} is open already");
    }

    private void SendMainExited()
    {
        if (!_greeted)
            return;
        var writer = new WireWriter();
        Messages.WriteExit(writer, _main.Exit!);
        _channel.Send(FrameType.MainExited, 0, writer.Written);
    }

    private void Fail(uint stream, string message)
    {
        const int MaxMessage = 4096;
        var writer = new WireWriter();
        writer.Text(message.Length > MaxMessage ? message[..MaxMessage] : message);
        _channel.Send(FrameType.Failed, stream, writer.Written);
    }

    /// <summary>Gives every stream its turn until none can send, then writes.</summary>
    private void Pump()
    {
        for (var more = true; more;)
        {
            more = false;
            foreach (var stream in _streams.Values)
            {
                more |= Pump(stream);
                if (stream.IsFinished)
                    _finished.Add(stream.Id);
            }

            foreach (var id in _finished)
                _streams.Remove(id);
            _finished.Clear();
            _channel.Flush();
        }
    }

    private bool Pump(OutputStream stream)
    {
        try
        {
            return stream.Pump();
        }
        catch (Exception failure)
        {
            stream.Cancel();
            stream.Abandon();
            Fail(stream.Id, $"the agent failed: {failure.GetType().Name} {failure.Message}");
            return false;
        }
    }

    private void Forget()
    {
        foreach (var stream in _streams.Values)
            stream.Cancel();
        _streams.Clear();
        _assembler.Reset();
    }
}

using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>Follows a service's output from an offset on, until it has ended and all is sent; with its input where it has one.</summary>
internal sealed class ServiceStream : OutputStream
{
    private readonly Service _service;
    private readonly bool _tellsExit;
    private readonly byte[] _buffer = new byte[Wire.MaxOutput];
    private long _offset;

    /// <param name="from">Below zero for what comes from now on.</param>
    /// <param name="attaches">Whether the host also writes, and wants to know how the process ended.</param>
    public ServiceStream(uint id, HostChannel channel, Service service, long from, bool attaches)
        : base(id, channel)
    {
        if (from > service.Ring.End)
            throw new AgentFailure($"the output of {service.Name} has {service.Ring.End} bytes, it cannot be read from {from}");
        (_service, _tellsExit, _offset) = (service, attaches, from < 0 ? service.Ring.End : from);
        if (attaches && service.Input is not null)
            GrantInput(Wire.InputWindow);
    }

    public override bool IsDrained => _offset >= _service.Ring.End;

    public override bool Pump()
    {
        var count = _service.Ring.Read(ref _offset, _buffer.AsSpan(0, Room), out var isError, out var time);
        if (count > 0)
        {
            SendOutput(_offset, isError, time, _buffer.AsSpan(0, count));
            _offset += count;
            return true;
        }

        if (_service.State != MainState.Exited || _offset < _service.Ring.End)
            return false;
        var writer = new WireWriter();
        if (_tellsExit)
            Messages.WriteExit(writer, _service.Exit!);
        Finish(_tellsExit ? FrameType.Exited : FrameType.End, writer.Written);
        return false;
    }

    public override void Cancel() => IsFinished = true;

    public override void EndInput() => _service.Input?.End();

    public override void Resize(TerminalSize size) => _service.Resize(size);

    public override void Signal(int signal) => _service.Signal(signal);

    protected override void OnInput(ReadOnlySpan<byte> data) =>
        _service.Input!.Add(data, length => GrantInput(length + Wire.OutputCost));
}

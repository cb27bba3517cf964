using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>Puts a message together that comes in several frames. A host sends one message at a time.</summary>
internal sealed class MessageAssembler
{
    private byte[] _buffer = [];
    private int _length;
    private FrameType _type;
    private uint _stream;
    private bool _inside;

    public void Reset() => (_inside, _length, _buffer) = (false, 0, []);

    /// <param name="message">Valid until the next call.</param>
    /// <returns>Whether the message is whole.</returns>
    /// <exception cref="ProtocolException">It is too long, or another came in between.</exception>
    public bool TryAdd(in Frame frame, out ReadOnlySpan<byte> message)
    {
        var more = (frame.Flags & Frame.More) != 0;
        message = frame.Payload;
        if (!_inside && !more)
            return true;
        if (_inside && (frame.Type != _type || frame.Stream != _stream))
        {
            Reset();
            throw new ProtocolException("a message was cut off by another");
        }

        (_inside, _type, _stream) = (true, frame.Type, frame.Stream);
        if (_length + frame.Payload.Length > Wire.MaxMessage)
        {
            Reset();
            throw new ProtocolException($"a message is longer than {Wire.MaxMessage} bytes");
        }

        if (_length + frame.Payload.Length > _buffer.Length)
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + frame.Payload.Length));
        frame.Payload.CopyTo(_buffer.AsSpan(_length));
        _length += frame.Payload.Length;
        message = _buffer.AsSpan(0, _length);
        if (!more)
            (_inside, _length, _buffer) = (false, 0, []);
        return !more;
    }
}

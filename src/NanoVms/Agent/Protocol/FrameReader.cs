namespace NanoVms.Agent.Protocol;

/// <summary>Finds frames in a stream of bytes that may start anywhere. Holds at most one frame's bytes.</summary>
internal sealed class FrameReader
{
    private static readonly int MaxStuffed = Cobs.MaxEncodedLength(Frame.MaxLength);

    private byte[] _buffer = new byte[1024];
    private int _length;
    private bool _skipping;

    /// <summary>Runs of bytes between delimiters that were no frame.</summary>
    public long BadFrames { get; private set; }

    /// <summary>Takes bytes from the input up to the end of a frame.</summary>
    /// <param name="input">What was taken is cut off its front.</param>
    /// <param name="frame">Its payload is valid until the next call.</param>
    /// <returns>False when the input is used up.</returns>
    public bool TryRead(ref ReadOnlySpan<byte> input, out Frame frame)
    {
        while (!input.IsEmpty)
        {
            var end = input.IndexOf(Frame.Delimiter);
            Append(end < 0 ? input : input[..end]);
            input = end < 0 ? default : input[(end + 1)..];
            if (end < 0)
                break;
            var (length, whole) = (_length, !_skipping);
            (_length, _skipping) = (0, false);
            if (whole && length == 0)
                continue;
            if (whole && Frame.TryRead(_buffer.AsSpan(0, length), out frame))
                return true;
            BadFrames++;
        }

        frame = default;
        return false;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (_skipping || bytes.Length > MaxStuffed - _length)
        {
            _skipping = true;
            return;
        }

        if (bytes.Length > _buffer.Length - _length)
            Array.Resize(ref _buffer, Math.Min(MaxStuffed, Math.Max(_buffer.Length * 2, _length + bytes.Length)));
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
    }
}

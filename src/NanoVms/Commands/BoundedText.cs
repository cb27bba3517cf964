using System.Buffers;
using System.Text;

namespace NanoVms.Commands;

/// <summary>Collects bytes of a stream up to a limit, from its head or its tail.</summary>
internal sealed class BoundedText(int limit, bool keepTail)
{
    private readonly ArrayBufferWriter<byte> _kept = new();

    public bool Truncated { get; private set; }

    public void Append(ReadOnlySpan<byte> data)
    {
        if (keepTail)
        {
            _kept.Write(data);
            // Let it grow to twice the limit before cutting, so that every byte is moved at most once on average.
            if (_kept.WrittenCount > 2L * limit)
                Cut();
            return;
        }

        var room = Math.Min(data.Length, limit - _kept.WrittenCount);
        Truncated |= room < data.Length;
        _kept.Write(data[..room]);
    }

    public override string ToString()
    {
        if (_kept.WrittenCount > limit)
            Cut();
        return Encoding.UTF8.GetString(_kept.WrittenSpan);
    }

    private void Cut()
    {
        Truncated = true;
        var tail = _kept.WrittenSpan[^limit..].ToArray();
        _kept.ResetWrittenCount();
        _kept.Write(tail);
    }
}

using System.Buffers;
using System.Text;

namespace NanoVms.Commands;

/// <summary>
/// Splits bytes into lines at LF, CR or CRLF (progress bars rewrite their line with CR), cutting longer lines so that
/// a stream without line ends cannot fill memory. Not thread safe.
/// </summary>
public sealed class LineSplitter(Action<string> onLine, int maxLineBytes = LineSplitter.DefaultMaxLineBytes)
{
    public const int DefaultMaxLineBytes = 16 * 1024;

    private readonly ArrayBufferWriter<byte> _line = new();
    private bool _afterCarriageReturn;

    public void Append(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (_afterCarriageReturn)
            {
                _afterCarriageReturn = false;
                if (data[0] == '\n')
                {
                    data = data[1..];
                    continue;
                }
            }

            var end = data.IndexOfAny((byte)'\n', (byte)'\r');
            var part = end < 0 ? data : data[..end];
            while (_line.WrittenCount + part.Length > maxLineBytes)
            {
                var room = maxLineBytes - _line.WrittenCount;
                _line.Write(part[..room]);
                part = part[room..];
                Emit();
            }

            _line.Write(part);
            if (end < 0)
                return;

            _afterCarriageReturn = data[end] == '\r';
            Emit();
            data = data[(end + 1)..];
        }
    }

    /// <summary>Emits what is left after the last line end.</summary>
    public void Complete()
    {
        if (_line.WrittenCount > 0)
            Emit();
    }

    private void Emit()
    {
        var text = Encoding.UTF8.GetString(_line.WrittenSpan);
        _line.ResetWrittenCount();
        onLine(text);
    }
}

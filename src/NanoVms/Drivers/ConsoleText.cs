using System.Buffers;
using System.Text;

namespace NanoVms.Drivers;

/// <summary>What a guest wrote to its console and nobody has read yet, at most its last 64 KiB, thread safe.</summary>
internal sealed class ConsoleText
{
    private const int Kept = 64 * 1024;
    private const int Lines = 40;
    private readonly Lock _gate = new();
    private readonly ArrayBufferWriter<byte> _unread = new();

    public void Append(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            _unread.Write(data);
            // Twice the limit before it is cut, so that every byte is moved at most once on average.
            if (_unread.WrittenCount <= 2 * Kept)
                return;
            var tail = _unread.WrittenSpan[^Kept..].ToArray();
            _unread.ResetWrittenCount();
            _unread.Write(tail);
        }
    }

    public byte[] Take()
    {
        lock (_gate)
        {
            var all = _unread.WrittenSpan;
            var taken = all[Math.Max(0, all.Length - Kept)..].ToArray();
            _unread.ResetWrittenCount();
            return taken;
        }
    }

    /// <summary>The last lines without control characters: the guest writes what it likes.</summary>
    internal static string Tail(ReadOnlySpan<byte> console)
    {
        var lines = Encoding.UTF8.GetString(console)
            .Split('\n')
            .Select(line => string.Concat(line.Where(c => !char.IsControl(c) || c == '\t')).TrimEnd())
            .Where(line => line.Length > 0);
        return string.Join('\n', lines.TakeLast(Lines));
    }
}

using System.Text;
using NanoVms.Machines;

namespace BytePort.Server.Logs;

/// <summary>Makes lines of the pieces that a machine's main process wrote, and bounds what a flood may fill.</summary>
/// <remarks>A token bucket of <see cref="LinesPerSecond"/> with <see cref="Burst"/>: past it lines are dropped and their number is told.</remarks>
internal sealed class LineAssembler(string service, string machine, long position, TimeProvider time)
{
    public const int LinesPerSecond = 1_000;
    public const int Burst = 5_000;
    public const int MaxLineBytes = 16 * 1024;

    private readonly List<byte> _output = [];
    private readonly List<byte> _error = [];
    private long _position = position;
    private double _tokens = Burst;
    private long _refilled = time.GetTimestamp();
    private long _dropped;

    /// <summary>Adds a piece.</summary>
    /// <returns>The lines that it completed.</returns>
    public IReadOnlyList<RuntimeLine> Add(OutputChunk chunk)
    {
        Refill();
        var lines = new List<RuntimeLine>();
        if (chunk.Offset > _position)
        {
            lines.Add(new RuntimeLine(chunk.Time, service, machine, chunk.Offset, "platform", $"{chunk.Offset - _position} bytes of output were lost: more was written than is kept while nobody reads."));
        }

        var pending = chunk.IsError ? _error : _output;
        var stream = chunk.IsError ? "stderr" : "stdout";
        var data = chunk.Data.Span;
        var consumed = chunk.Offset;
        while (!data.IsEmpty)
        {
            var end = data.IndexOf((byte)'\n');
            var room = MaxLineBytes - pending.Count;
            var take = end >= 0 && end <= room ? end : Math.Min(data.Length, room);
            pending.AddRange(data[..take]);
            var whole = end == take;
            consumed += take + (whole ? 1 : 0);
            data = data[(take + (whole ? 1 : 0))..];
            if (whole || pending.Count >= MaxLineBytes)
            {
                Emit(lines, pending, stream, consumed, chunk.Time);
            }
        }

        _position = chunk.Offset + chunk.Data.Length;
        return lines;
    }

    /// <summary>What was begun and not ended by a line break: at the process's end it is a line too.</summary>
    public IReadOnlyList<RuntimeLine> Finish()
    {
        var lines = new List<RuntimeLine>();
        foreach (var (pending, stream) in new[] { (_output, "stdout"), (_error, "stderr") })
        {
            if (pending.Count > 0)
            {
                Emit(lines, pending, stream, _position, time.GetUtcNow());
            }
        }

        TellDropped(lines, time.GetUtcNow());
        return lines;
    }

    private void Emit(List<RuntimeLine> lines, List<byte> pending, string stream, long end, DateTimeOffset at)
    {
        var text = Encoding.UTF8.GetString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(pending)).TrimEnd('\r');
        pending.Clear();
        if (_tokens < 1)
        {
            _dropped++;
            return;
        }

        _tokens--;
        TellDropped(lines, at);
        lines.Add(new RuntimeLine(at, service, machine, end, stream, text));
    }

    private void TellDropped(List<RuntimeLine> lines, DateTimeOffset at)
    {
        if (_dropped > 0)
        {
            lines.Add(new RuntimeLine(at, service, machine, _position, "platform", $"{_dropped} lines were dropped: more than {LinesPerSecond} a second."));
            _dropped = 0;
        }
    }

    private void Refill()
    {
        var now = time.GetTimestamp();
        _tokens = Math.Min(Burst, _tokens + time.GetElapsedTime(_refilled, now).TotalSeconds * LinesPerSecond);
        _refilled = now;
    }
}

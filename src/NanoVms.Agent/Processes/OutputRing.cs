using NanoVms.Agent.Protocol;

namespace NanoVms.Agent.Processes;

/// <summary>
/// The newest bytes of a process's output, with where in the whole output they are, when they came and by which stream. Whoever
/// writes is never held up: the oldest go.
/// </summary>
internal sealed class OutputRing(int capacity)
{
    // Output that comes within 10 ms counts as one piece, so that a program that writes byte by byte does not use up the pieces.
    private const long MergeTicks = 10 * TimeSpan.TicksPerMillisecond;

    private readonly byte[] _bytes = new byte[capacity];
    private readonly Piece[] _pieces = new Piece[capacity / 128];
    private int _first;
    private int _count;

    /// <summary>Offset of the oldest byte that is still here.</summary>
    public long Start { get; private set; }

    /// <summary>Bytes of output so far.</summary>
    public long End { get; private set; }

    /// <param name="data">No longer than the ring.</param>
    /// <param name="time">In units of 100 ns since 1970.</param>
    public void Append(ReadOnlySpan<byte> data, bool isError, long time)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data.Length, capacity);
        while (End + data.Length - Start > capacity)
            DropOldest();
        var at = (int)(End % capacity);
        var head = Math.Min(data.Length, capacity - at);
        data[..head].CopyTo(_bytes.AsSpan(at));
        data[head..].CopyTo(_bytes);
        AddPiece(data.Length, isError, time);
        End += data.Length;
    }

    /// <summary>Copies what follows an offset, as far as it came by one stream at one time.</summary>
    /// <param name="offset">Moved to the oldest byte when it lies before that.</param>
    /// <returns>How many bytes were copied; 0 when the offset is the end.</returns>
    public int Read(ref long offset, Span<byte> target, out bool isError, out long time)
    {
        offset = Math.Max(offset, Start);
        (isError, time) = (false, 0);
        if (offset >= End || target.IsEmpty)
            return 0;
        var piece = Find(offset);
        (isError, time) = (piece.IsError, piece.Time);
        var count = (int)Math.Min(piece.Offset + piece.Length - offset, target.Length);
        var at = (int)(offset % capacity);
        var head = Math.Min(count, capacity - at);
        _bytes.AsSpan(at, head).CopyTo(target);
        _bytes.AsSpan(0, count - head).CopyTo(target[head..]);
        return count;
    }

    private void AddPiece(int length, bool isError, long time)
    {
        if (_count > 0)
        {
            ref var last = ref At(_count - 1);
            var elapsed = time - last.Time;
            if (last.IsError == isError && elapsed is >= 0 and < MergeTicks && last.Length + length <= Wire.MaxOutput)
            {
                last.Length += length;
                return;
            }
        }

        if (_count == _pieces.Length)
            DropOldest();
        At(_count++) = new Piece { Offset = End, Length = length, IsError = isError, Time = time };
    }

    /// <summary>The last piece that starts at or before the offset, which lies between the ends.</summary>
    private Piece Find(long offset)
    {
        var (low, high) = (0, _count - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (At(middle).Offset <= offset)
                low = middle;
            else
                high = middle - 1;
        }

        return At(low);
    }

    private void DropOldest()
    {
        ref var oldest = ref At(0);
        Start = oldest.Offset + oldest.Length;
        _first = (_first + 1) % _pieces.Length;
        _count--;
    }

    private ref Piece At(int index) => ref _pieces[(_first + index) % _pieces.Length];

    private struct Piece
    {
        public long Offset;
        public int Length;
        public bool IsError;
        public long Time;
    }
}

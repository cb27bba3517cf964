using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Processes;

/// <summary>
/// What hosts wrote to a process's standard input and the process has not read. Bounded by the credit of those who write, which they
/// get back as the process reads; what it never will is dropped, and the credit given back too.
/// </summary>
internal sealed unsafe class ProcessInput(EventLoop loop, int fd, bool isTerminal)
{
    private readonly Queue<Piece> _pieces = new();
    private int _fd = fd;
    private int _taken;
    private bool _ending;
    private bool _waiting;
    private byte _last = (byte)'\n';

    /// <param name="consumed">Called once with the length.</param>
    public void Add(ReadOnlySpan<byte> data, Action<int> consumed)
    {
        if (_fd < 0 || _ending)
        {
            consumed(data.Length);
            return;
        }

        _last = data[^1];
        _pieces.Enqueue(new Piece(data.ToArray(), consumed));
        if (!_waiting)
            Write();
    }

    /// <summary>The end of input, after all that was added. A pipe is closed; a terminal gets what a person would type.</summary>
    public void End()
    {
        if (_fd < 0 || _ending)
            return;
        if (isTerminal)
        {
            // At the start of a line the character ends the input; elsewhere the first only hands the line over.
            Add(_last == '\n' ? [Terminal.EndOfInput] : [Terminal.EndOfInput, Terminal.EndOfInput], _ => { });
            return;
        }

        _ending = true;
        if (_pieces.Count == 0)
            Close();
    }

    /// <summary>The process has ended.</summary>
    public void Close()
    {
        if (_fd < 0)
            return;
        Wait(false);
        _ = Libc.Close(_fd);
        _fd = -1;
        while (_pieces.TryDequeue(out var piece))
            piece.Consumed(piece.Data.Length);
    }

    private void Write()
    {
        while (_pieces.TryPeek(out var piece))
        {
            nint count;
            // SAFETY: the range lies in the pinned array.
            fixed (byte* data = piece.Data)
                count = Libc.Write(_fd, data + _taken, (nuint)(piece.Data.Length - _taken));
            if (count < 0)
            {
                if (Errno.Last == Errno.EAGAIN)
                    Wait(true);
                else if (Errno.Last != Errno.EINTR)
                    Close();
                if (Errno.Last != Errno.EINTR)
                    return;
                continue;
            }

            _taken += (int)count;
            if (_taken < piece.Data.Length)
                continue;
            _taken = 0;
            _pieces.Dequeue();
            piece.Consumed(piece.Data.Length);
        }

        Wait(false);
        if (_ending)
            Close();
    }

    private void Wait(bool on)
    {
        if (_waiting == on)
            return;
        _waiting = on;
        if (on)
            loop.Add(_fd, Libc.EPOLLOUT, _ => Write());
        else
            loop.Remove(_fd);
    }

    private readonly record struct Piece(byte[] Data, Action<int> Consumed);
}

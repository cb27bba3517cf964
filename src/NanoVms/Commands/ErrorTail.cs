using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace NanoVms.Commands;

/// <summary>
/// Keeps the last 4 KiB that a program writes to standard error while it starts. Once disposed the program's messages go nowhere,
/// so that nothing a guest provokes can fill a disk.
/// </summary>
internal sealed class ErrorTail : IDisposable
{
    private const int Kept = 4096;
    private readonly Socket _mine;
    private readonly SafeSocketHandle _programs;
    private readonly BoundedText _text = new(Kept, keepTail: true);
    private readonly Task _reading;

    public ErrorTail()
    {
        (_mine, _programs) = UnixSockets.CreatePair();
        _reading = ReadAsync();
    }

    public SafeHandle ProgramsEnd => _programs;

    /// <summary>To be called once the program has its own copy; else the end of its output never shows.</summary>
    public void CloseProgramsEnd() => _programs.Dispose();

    /// <summary>What was written, after the program ended or at most this long.</summary>
    public async Task<string> ReadToEndAsync(TimeSpan wait, TimeProvider time)
    {
        _ = await Task.WhenAny(_reading, Task.Delay(wait, time));
        lock (_text)
            return _text.ToString().Trim();
    }

    public void Dispose()
    {
        _programs.Dispose();
        _mine.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[Kept];
        try
        {
            int read;
            while ((read = await _mine.ReceiveAsync(buffer)) > 0)
            {
                lock (_text)
                    _text.Append(buffer.AsSpan(0, read));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed: nobody wants the rest.
        }
    }
}

using System.Buffers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace BytePort.Edge.Listening.Loops;

/// <summary>Reads and writes that never wait.</summary>
internal static class LoopSocket
{
    /// <summary>Half a megabyte in the pool's blocks: more than a socket takes at once.</summary>
    private const int MaxParts = 32;

    /// <returns>False when nothing has arrived.</returns>
    /// <exception cref="ConnectionResetException">The connection is broken.</exception>
    public static bool TryReceive(SafeSocketHandle socket, Span<byte> buffer, out int count)
    {
        nint received;
        do
        {
            received = Native.Receive(socket, buffer, buffer.Length, Native.DoNotWait);
        }
        while (received < 0 && Marshal.GetLastPInvokeError() == Native.InterruptedSystemCall);
        return IsDone(received, out count);
    }

    /// <returns>False when the socket takes nothing now. When true, fewer bytes than given may have been taken.</returns>
    /// <exception cref="ConnectionResetException">The connection is broken.</exception>
    public static bool TrySend(SafeSocketHandle socket, ReadOnlySpan<LoopWriter.Chunk> data, out int count)
    {
        nint sent;
        do
        {
            sent = data.Length == 1
                ? Native.Send(socket, data[0].Data.Span, data[0].Data.Length, Native.DoNotWait | Native.NoSignal)
                : SendParts(socket, data);
        }
        while (sent < 0 && Marshal.GetLastPInvokeError() == Native.InterruptedSystemCall);
        return IsDone(sent, out count);
    }

    private static unsafe nint SendParts(SafeSocketHandle socket, ReadOnlySpan<LoopWriter.Chunk> data)
    {
        Span<Native.Part> parts = stackalloc Native.Part[MaxParts];
        var pins = new PinList();
        var count = 0;
        try
        {
            for (; count < Math.Min(data.Length, MaxParts); count++)
            {
                pins[count] = data[count].Data.Pin();
                parts[count] = new Native.Part { Address = (nint)pins[count].Pointer, Length = data[count].Data.Length };
            }

            // SAFETY: the parts' memory is pinned until after the call, and `parts` itself is on the stack.
            fixed (Native.Part* first = parts)
            {
                var message = new Native.Message { Parts = (nint)first, PartCount = count };
                return Native.SendMessage(socket, message, Native.DoNotWait | Native.NoSignal);
            }
        }
        finally
        {
            for (var i = 0; i < count; i++)
                pins[i].Dispose();
        }
    }

    private static bool IsDone(nint result, out int count)
    {
        count = (int)Math.Max(result, 0);
        if (result >= 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        return error == Native.TryAgain
            ? false
            : throw new ConnectionResetException($"The connection to the client is broken: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    [System.Runtime.CompilerServices.InlineArray(MaxParts)]
    private struct PinList
    {
        private MemoryHandle _first;
    }
}

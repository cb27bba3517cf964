using System.Net.Sockets;
using System.Runtime.InteropServices;
using NanoVms.Commands;

namespace NanoVms.Drivers.Rest;

/// <summary>A connection that hands open files over with the first bytes that are sent on it.</summary>
internal sealed class HandoverStream(NetworkStream connected, IReadOnlyList<SafeHandle> files) : NetworkStream(connected.Socket, ownsSocket: true)
{
    private bool _handed;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_handed || buffer.Length == 0)
        {
            await base.WriteAsync(buffer, cancellationToken);
            return;
        }

        _handed = true;
        UnixSockets.SendWithFiles(Socket, buffer.Span, files);
    }
}

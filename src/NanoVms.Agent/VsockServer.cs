using System.Buffers.Binary;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent;

/// <summary>Takes hosts by vsock, one at a time: the newest counts. Processes of the guest are no hosts.</summary>
internal static unsafe class VsockServer
{
    /// <summary>Below 1024 are ports that only root may listen at; this one is above, and the agent takes it before any process runs.</summary>
    public const uint Port = 1024;

    // struct sockaddr_vm: AF_VSOCK (2 bytes), reserved (2), port (4), CID (4), flags and padding (4). See vsock(7).
    private const int Family = 40;
    private const int AddressLength = 16;
    private const uint AnyCid = uint.MaxValue;
    private const uint HostCid = 2;

    public static bool TryListen(EventLoop loop, HostChannel channel)
    {
        var address = stackalloc byte[AddressLength];
        var fields = new Span<byte>(address, AddressLength);
        fields.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(fields, Family);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[4..], Port);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[8..], AnyCid);
        // SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK.
        var listener = Libc.Socket(Family, 0x80801, 0);
        // SAFETY: the address has the length that is passed.
        if (listener < 0 || Libc.Bind(listener, address, AddressLength) != 0 || Libc.Listen(listener, 8) != 0)
            return false;
        loop.Add(listener, Libc.EPOLLIN, _ => Accept(listener, channel));
        return true;
    }

    private static void Accept(int listener, HostChannel channel)
    {
        var peer = stackalloc byte[AddressLength];
        var length = AddressLength;
        // SAFETY: at most the length that is passed is written.
        var accepted = Libc.Accept(listener, peer, &length, 0x80800);
        if (accepted < 0)
            return;
        if (BinaryPrimitives.ReadUInt32LittleEndian(new ReadOnlySpan<byte>(peer + 8, 4)) == HostCid)
            channel.Attach(accepted, closesWithHost: true);
        else
            _ = Libc.Close(accepted);
    }
}

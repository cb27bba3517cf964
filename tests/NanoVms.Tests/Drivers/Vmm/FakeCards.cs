using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using NanoVms.Network;
using NanoVms.Tests.Drivers.OpenApi;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>The network cards of a fake guest: real taps, each of which sends a frame ten times a second.</summary>
internal static unsafe partial class FakeCards
{
    /// <summary>Where it says, in its working folder, which card has which tap.</summary>
    public const string FileName = "cards";

    private const nuint GetInterface = 0x800454d2;
    private const int FrameSize = 10 + 60;

    /// <summary>A tap of the process's own network, by its name.</summary>
    public static void Open(string card, string tap) => Add(card, Tap.Create(tap));

    public static void Add(string card, SafeFileHandle tap)
    {
        File.AppendAllText(WireFake.Native(FileName), $"{card} {NameOf(tap)}\n");
        new Thread(() => Send(tap)) { IsBackground = true }.Start();
    }

    private static void Send(SafeFileHandle tap)
    {
        // The header of virtio, then to everybody, from nobody that matters, of a type for experiments.
        var frame = new byte[FrameSize];
        frame.AsSpan(10, 6).Fill(0xff);
        (frame[16], frame[22], frame[23]) = (0x02, 0x88, 0xb5);
        while (true)
        {
            fixed (byte* start = frame)
                _ = Write(tap, start, FrameSize);
            Thread.Sleep(100);
        }
    }

    private static string NameOf(SafeFileHandle tap)
    {
        // SAFETY: struct ifreq is 40 bytes, the first 16 of them the name.
        var request = stackalloc byte[40];
        return Control(tap, GetInterface, request) == 0 ? Encoding.ASCII.GetString(new Span<byte>(request, 16)).TrimEnd('\0') : throw new IOException("what was handed over is no tap");
    }

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, void* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, void* argument);
}

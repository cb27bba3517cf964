using System.Runtime.InteropServices;

namespace BytePort.Cli.Terminal;

/// <summary>The terminal on standard input, with every key passed on as it is typed; as it was again once this is disposed.</summary>
internal sealed partial class RawTerminal : IDisposable
{
    /// <summary>More than any Linux's struct termios (60 bytes with glibc).</summary>
    private const int TermiosBytes = 256;

    private const int Input = 0;
    private const int Now = 0;
    private const ulong GetWindowSize = 0x5413;

    private readonly byte[] _before;

    private RawTerminal(byte[] before) => _before = before;

    /// <summary>Columns and rows of the terminal, or null without one.</summary>
    public static (int Columns, int Rows)? Size
    {
        get
        {
            Span<ushort> size = stackalloc ushort[4];
            return Native.Ioctl(Input, GetWindowSize, size) == 0 && size[0] > 0 && size[1] > 0 ? (size[1], size[0]) : null;
        }
    }

    /// <returns>Null when standard input is no terminal.</returns>
    public static RawTerminal? Open()
    {
        var before = new byte[TermiosBytes];
        if (Native.GetAttributes(Input, before) != 0)
            return null;
        var raw = before.ToArray();
        Native.MakeRaw(raw);
        return Native.SetAttributes(Input, Now, raw) == 0 ? new(before) : null;
    }

    public void Dispose() => _ = Native.SetAttributes(Input, Now, _before);

    /// <summary>libc's terminal calls. All return 0, or -1 when the descriptor is no terminal.</summary>
    private static partial class Native
    {
        [LibraryImport("libc", EntryPoint = "tcgetattr")]
        public static partial int GetAttributes(int descriptor, [Out] byte[] termios);

        [LibraryImport("libc", EntryPoint = "tcsetattr")]
        public static partial int SetAttributes(int descriptor, int when, byte[] termios);

        [LibraryImport("libc", EntryPoint = "cfmakeraw")]
        public static partial void MakeRaw([In, Out] byte[] termios);

        [LibraryImport("libc", EntryPoint = "ioctl")]
        public static partial int Ioctl(int descriptor, ulong request, Span<ushort> size);
    }
}

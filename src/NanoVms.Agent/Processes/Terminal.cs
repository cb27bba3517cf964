using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>Pseudo terminals, by pts(4).</summary>
internal static unsafe class Terminal
{
    /// <summary>What a terminal sends for the end of input (Ctrl-D).</summary>
    public const byte EndOfInput = 4;

    private const nuint Unlock = 0x40045431;
    private const nuint GetNumber = 0x80045430;
    private const nuint SetSize = 0x5414;
    private const nuint GetAttributes = 0x5401;
    private const nuint SetAttributes = 0x5402;
    private const int CountsCharacters = 0x4000;
    private const uint TerminalGroup = 5;
    private const uint OwnerAndGroup = 0x190;

    /// <returns>A descriptor of the side that stands for the person, and the path of the side that programs open.</returns>
    public static (int Master, string Path) Open(TerminalSize size, uint user)
    {
        var master = Files.TryOpen("/dev/ptmx", Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_NONBLOCK);
        if (master < 0)
            throw AgentFailure.Of("cannot open a terminal (/dev/ptmx)");
        int locked = 0, number = -1;
        // SAFETY: both requests use an int.
        if (Libc.IoControl(master, Unlock, &locked) != 0 || Libc.IoControl(master, GetNumber, &number) != 0)
        {
            var failure = AgentFailure.Of("cannot make a terminal");
            _ = Libc.Close(master);
            throw failure;
        }

        CountCharacters(master);
        Resize(master, size);
        var path = "/dev/pts/" + number.ToString();
        // Programs that open their terminal again by its name, as a shell's child may, are the user's.
        Files.ChangeOwner(path, user, TerminalGroup);
        Files.ChangeMode(path, OwnerAndGroup);
        return (master, path);
    }

    public static void Resize(int master, TerminalSize size)
    {
        // struct winsize: rows, columns, and both in pixels.
        var words = stackalloc ushort[] { (ushort)size.Rows, (ushort)size.Columns, 0, 0 };
        // SAFETY: the request reads four 16-bit words.
        _ = Libc.IoControl(master, SetSize, words);
    }

    /// <summary>So that erasing in a line takes a whole character of UTF-8 (IUTF8).</summary>
    private static void CountCharacters(int master)
    {
        // struct termios of the kernel is 36 bytes and starts with the flags of input.
        var attributes = stackalloc int[16];
        // SAFETY: the buffer is larger than the structure.
        if (Libc.IoControl(master, GetAttributes, attributes) != 0)
            return;
        attributes[0] |= CountsCharacters;
        _ = Libc.IoControl(master, SetAttributes, attributes);
    }
}

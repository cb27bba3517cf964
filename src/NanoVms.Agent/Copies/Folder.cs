using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Copies;

/// <summary>
/// Files below a folder, by descriptors instead of paths, so that no link that a program puts in the way leads out of it.
/// Names are Latin-1, as in <see cref="Archives.TarEntry"/>.
/// </summary>
internal static unsafe class Folder
{
    private const ulong StayInside = 0x10;
    private const ulong NoMagicLinks = 0x02;
    private const int NameOffset = 19;

    public static byte[] Name(string name)
    {
        var bytes = new byte[name.Length + 1];
        Encoding.Latin1.GetBytes(name, bytes);
        return bytes;
    }

    /// <summary>Opens what lies below a folder as if that folder were the root: links in it count, and cannot leave it.</summary>
    public static int OpenInside(int folder, string path, int flags)
    {
        // struct open_how: flags, mode, how to resolve.
        var how = stackalloc ulong[] { (uint)(flags | Libc.O_CLOEXEC), 0, StayInside | NoMagicLinks };
        // SAFETY: the name is pinned and ends in a zero; the structure is 24 bytes.
        fixed (byte* name = Name(path.Length == 0 ? "." : path))
            return (int)Libc.SystemCall(Libc.SYS_OPENAT2, folder, (nint)name, (nint)how, 24);
    }

    /// <summary>The same for a folder, which is made with all above it when it is missing.</summary>
    public static int MakeInside(int folder, string path)
    {
        var opened = OpenInside(folder, path, Libc.O_PATH | Libc.O_DIRECTORY);
        if (opened >= 0 || Errno.Last != Errno.ENOENT)
            return opened;
        var slash = path.LastIndexOf('/');
        var above = MakeInside(folder, slash < 0 ? "" : path[..slash]);
        if (above < 0)
            return above;
        // SAFETY: the name is pinned and ends in a zero.
        fixed (byte* name = Name(path[(slash + 1)..]))
            _ = Libc.MakeDirectoryAt(above, name, 0x1ED);
        _ = Libc.Close(above);
        return OpenInside(folder, path, Libc.O_PATH | Libc.O_DIRECTORY);
    }

    /// <summary>All names in a folder but itself and the one above; takes the descriptor over only to read.</summary>
    public static List<string> List(int folder)
    {
        var names = new List<string>();
        int own;
        // SAFETY: a literal that ends in a zero; an entry is valid until the next call, its name ends in a zero.
        fixed (byte* here = ".\0"u8)
            own = Libc.OpenAt(folder, here, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (own < 0)
            throw AgentFailure.Of("cannot read a folder");
        var directory = Libc.OpenDirectoryOf(own);
        if (directory is null)
        {
            _ = Libc.Close(own);
            throw AgentFailure.Of("cannot read a folder");
        }

        for (var entry = Libc.ReadDirectory(directory); entry is not null; entry = Libc.ReadDirectory(directory))
        {
            var length = 0;
            while (entry[NameOffset + length] != 0)
                length++;
            var name = Encoding.Latin1.GetString(entry + NameOffset, length);
            if (name is not ("." or ".."))
                names.Add(name);
        }

        _ = Libc.CloseDirectory(directory);
        return names;
    }
}

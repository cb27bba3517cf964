using System.Text;
using NanoVms.Agent.Archives;

namespace NanoVms.Agent.Copies;

/// <summary>A file, folder or symbolic link of the host as an entry of an archive.</summary>
/// <param name="At">Its path in the archive.</param>
/// <param name="Mode">A link's own is not looked at.</param>
internal readonly record struct ArchiveEntry(FileSystemInfo Info, string At, UnixFileMode Mode, uint Owner = 0, uint Group = 0)
{
    private const int Piece = 32 * 1024;
    private const uint AnyMode = 0x1FF;

    public ReadOnlyMemory<byte> Folder() => Head(TarKind.Directory, 0);

    public ReadOnlyMemory<byte> SymbolicLink(string target) => Head(TarKind.SymbolicLink, 0, target);

    /// <exception cref="IOException">It cannot be read, or became shorter meanwhile.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> File()
    {
        using var file = ((FileInfo)Info).OpenRead();
        var size = file.Length;
        yield return Head(TarKind.File, size);
        for (var left = size; left > 0;)
        {
            var buffer = new byte[Math.Min(left, Piece)];
            var count = file.Read(buffer);
            if (count == 0)
                throw new IOException($"{Info.FullName} became shorter while it was copied: copy it again.");
            left -= count;
            yield return buffer.AsMemory(0, count);
        }

        yield return new byte[TarWriter.Padding(size)];
    }

    private ReadOnlyMemory<byte> Head(TarKind kind, long size, string link = "") => TarWriter.Head(new TarEntry(
        kind,
        Latin(At),
        size,
        kind == TarKind.SymbolicLink ? AnyMode : (uint)Mode,
        Owner,
        Group,
        new DateTimeOffset(Info.LastWriteTimeUtc, TimeSpan.Zero).ToUnixTimeSeconds(),
        Latin(link)));

    /// <summary>A character for each byte, as archives are written here.</summary>
    private static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
}

using System.Text;

namespace NanoVms.Agent.Archives;

/// <summary>Heads of entries as POSIX's pax format wants them (IEEE 1003.1, pax): ustar, and before it what ustar has no room for.</summary>
internal static class TarWriter
{
    public const int Block = 512;

    private const int MaxName = 100;
    private const long MaxSize = (1L << 33) - 1;
    private const uint MaxId = (1 << 21) - 1;

    /// <summary>What ends an archive.</summary>
    public static byte[] End => new byte[2 * Block];

    /// <summary>How many zeros follow that many bytes of data.</summary>
    public static int Padding(long size) => (int)(-size & (Block - 1));

    public static byte[] Head(TarEntry entry)
    {
        var records = Records(entry);
        if (records.Length == 0)
            return HeadBlock(entry, TypeOf(entry.Kind), entry.Size);
        var length = records.Length;
        var all = new byte[Block + length + Padding(length) + Block];
        HeadBlock(new TarEntry(TarKind.File, "pax", 0, 0x1A4, 0, 0, entry.Modified), (byte)'x', length).CopyTo(all, 0);
        records.CopyTo(all, Block);
        HeadBlock(entry, TypeOf(entry.Kind), entry.Size).CopyTo(all, all.Length - Block);
        return all;
    }

    private static byte[] Records(TarEntry entry)
    {
        var bytes = new List<byte>();
        if (entry.Path.Length > MaxName)
            Add(bytes, "path", entry.Path);
        if (entry.Link.Length > MaxName)
            Add(bytes, "linkpath", entry.Link);
        if (entry.Size > MaxSize)
            Add(bytes, "size", entry.Size.ToString());
        if (entry.User > MaxId)
            Add(bytes, "uid", entry.User.ToString());
        if (entry.Group > MaxId)
            Add(bytes, "gid", entry.Group.ToString());
        return bytes.ToArray();
    }

    /// <summary>"length key=value\n", where the length counts itself.</summary>
    private static void Add(List<byte> bytes, string key, string value)
    {
        var rest = key.Length + value.Length + 3;
        var length = rest + rest.ToString().Length;
        length = rest + length.ToString().Length;
        bytes.AddRange(Encoding.Latin1.GetBytes($"{length} {key}={value}\n"));
    }

    private static byte[] HeadBlock(TarEntry entry, byte type, long size)
    {
        var block = new byte[Block];
        Text(block.AsSpan(0, MaxName), entry.Path);
        Octal(block.AsSpan(100, 8), entry.Mode & 0xFFF);
        Octal(block.AsSpan(108, 8), Math.Min(entry.User, MaxId));
        Octal(block.AsSpan(116, 8), Math.Min(entry.Group, MaxId));
        Octal(block.AsSpan(124, 12), Math.Min(size, MaxSize));
        Octal(block.AsSpan(136, 12), Math.Clamp(entry.Modified, 0, MaxSize));
        block.AsSpan(148, 8).Fill((byte)' ');
        block[156] = type;
        Text(block.AsSpan(157, MaxName), entry.Link);
        "ustar\000"u8.CopyTo(block.AsSpan(257));
        var sum = 0;
        foreach (var one in block)
            sum += one;
        Octal(block.AsSpan(148, 7), sum);
        return block;
    }

    private static byte TypeOf(TarKind kind) => kind switch
    {
        TarKind.File => (byte)'0',
        TarKind.HardLink => (byte)'1',
        TarKind.SymbolicLink => (byte)'2',
        TarKind.Directory => (byte)'5',
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static void Text(Span<byte> field, string text) => Encoding.Latin1.GetBytes(text.AsSpan(0, Math.Min(text.Length, field.Length)), field);

    private static void Octal(Span<byte> field, long value)
    {
        for (var i = field.Length - 2; i >= 0; i--, value >>= 3)
            field[i] = (byte)('0' + (value & 7));
        field[^1] = 0;
    }
}

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>The memory that fakes save: blocks of one byte each, of which the last is another each time.</summary>
internal static class FakeMemory
{
    public const int Blocks = 4;
    public const int BlockBytes = 64 << 10;

    private static byte _saved;

    public static void Write(string path)
    {
        using var file = File.Create(path);
        for (var i = 0; i < Blocks; i++)
        {
            var block = new byte[BlockBytes];
            block.AsSpan().Fill((byte)(i == Blocks - 1 ? 100 + _saved++ : i + 1));
            file.Write(block);
        }
    }

    /// <summary>Whether all of it is there. A file of another length is a test's own.</summary>
    public static bool IsWhole(string path)
    {
        var bytes = File.ReadAllBytes(path);
        return bytes.Length != Blocks * BlockBytes || bytes.Chunk(BlockBytes).Select((block, i) => !block.AsSpan().ContainsAnyExcept((byte)(i == Blocks - 1 ? block[0] : i + 1)) && block[0] != 0).All(same => same);
    }
}

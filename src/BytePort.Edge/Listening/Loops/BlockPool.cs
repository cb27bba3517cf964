using System.Buffers;
using System.Runtime.InteropServices;

namespace BytePort.Edge.Listening.Loops;

/// <summary>
/// Memory for the connections' pipes. The block given back last is given out first, so that few blocks are in use and they
/// stay in the processor's cache; with the oldest first, a large answer would be copied to cold memory every time.
/// </summary>
internal sealed class BlockPool : MemoryPool<byte>
{
    /// <summary>A 100 KiB answer takes 7 of them; an idle connection holds none.</summary>
    public const int BlockBytes = 16 << 10;

    /// <summary>More than this, 8 MiB, is left to the garbage collector after a peak.</summary>
    private const int MaxKept = 512;

    private readonly Lock _lock = new();
    private readonly Stack<Block> _free = new();

    public override int MaxBufferSize => BlockBytes;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, BlockBytes);
        lock (_lock)
        {
            if (_free.TryPop(out var block))
            {
                block.IsRented = true;
                return block;
            }
        }

        return new Block(this) { IsRented = true };
    }

    protected override void Dispose(bool disposing)
    {
        lock (_lock)
            _free.Clear();
    }

    private void Return(Block block)
    {
        lock (_lock)
        {
            if (!block.IsRented)
                return;
            block.IsRented = false;
            if (_free.Count < MaxKept)
                _free.Push(block);
        }
    }

    /// <summary>Allocated pinned, because the kernel reads and writes it by its address.</summary>
    private sealed class Block(BlockPool pool) : IMemoryOwner<byte>
    {
        public bool IsRented { get; set; }

        public Memory<byte> Memory { get; } = MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true), 0, BlockBytes);

        public void Dispose() => pool.Return(this);
    }
}

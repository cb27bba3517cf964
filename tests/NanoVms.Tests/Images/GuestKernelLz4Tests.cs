using System.Buffers.Binary;
using System.Text;
using NanoVms.Images;

namespace NanoVms.Tests.Images;

public sealed class GuestKernelLz4Tests
{
    [Fact]
    public void Decode_LiteralsAndOverlappingMatch_Repeats()
    {
        // "ab", then 8 bytes from 2 back, then the literals "!".
        var frame = Frame([0x24, (byte)'a', (byte)'b', 2, 0, 0x10, (byte)'!']);
        Assert.Equal("ababababab!", Encoding.ASCII.GetString(GuestKernelLz4.Decode(frame, 11)));
    }

    [Fact]
    public void Decode_SeveralBlocks_AreJoined() =>
        Assert.Equal("xy", Encoding.ASCII.GetString(GuestKernelLz4.Decode(Frame([0x10, (byte)'x'], [0x10, (byte)'y']), 2)));

    [Theory]
    [InlineData(new byte[] { 0x24, (byte)'a', (byte)'b', 3, 0, 0x10, (byte)'!' })]
    [InlineData(new byte[] { 0x24, (byte)'a', (byte)'b', 0, 0, 0x10, (byte)'!' })]
    [InlineData(new byte[] { 0xF0, 255, 255 })]
    [InlineData(new byte[] { 0x50, (byte)'a' })]
    [InlineData(new byte[] { 0x24, (byte)'a', (byte)'b', 2 })]
    [InlineData(new byte[0])]
    public void Decode_DamagedBlock_IsRefused(byte[] block) =>
        Assert.Throws<InvalidDataException>(() => GuestKernelLz4.Decode(Frame(block), 11));

    [Fact]
    public void Decode_OtherSize_IsRefused() =>
        Assert.Throws<InvalidDataException>(() => GuestKernelLz4.Decode(Frame([0x10, (byte)'x']), 2));

    private static byte[] Frame(params byte[][] blocks)
    {
        using var frame = new MemoryStream();
        var number = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(number, GuestKernelLz4.Magic);
        frame.Write(number);
        foreach (var block in blocks)
        {
            BinaryPrimitives.WriteInt32LittleEndian(number, block.Length);
            frame.Write(number);
            frame.Write(block);
        }

        return frame.ToArray();
    }
}

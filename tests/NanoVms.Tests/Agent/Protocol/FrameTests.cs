using System.Text;
using FsCheck;
using FsCheck.Fluent;
using NanoVms.Agent.Protocol;

namespace NanoVms.Tests.Agent.Protocol;

public sealed class FrameTests
{
    [Theory]
    [InlineData("", "01")]
    [InlineData("00", "0101")]
    [InlineData("0000", "010101")]
    [InlineData("11220033", "0311220233")]
    [InlineData("11000000", "0211010101")]
    public void Encode_KnownBytes_IsAsPublished(string plain, string stuffed)
    {
        var target = new byte[16];
        var length = Cobs.Encode(Convert.FromHexString(plain), target);
        Assert.Equal(stuffed, Convert.ToHexStringLower(target.AsSpan(0, length)));
        Assert.Equal(plain.Length / 2, Cobs.DecodeInPlace(target.AsSpan(0, length)));
        Assert.Equal(plain, Convert.ToHexStringLower(target.AsSpan(0, plain.Length / 2)));
    }

    [Theory]
    [InlineData(253)]
    [InlineData(254)]
    [InlineData(255)]
    [InlineData(508)]
    [InlineData(509)]
    public void Encode_LongRuns_ComeBack(int length)
    {
        foreach (var zeroAt in (int[])[-1, 0, 253, 254, length - 1])
        {
            var plain = Enumerable.Repeat((byte)7, length).ToArray();
            if (zeroAt >= 0 && zeroAt < length)
                plain[zeroAt] = 0;
            var target = new byte[Cobs.MaxEncodedLength(length)];
            var written = Cobs.Encode(plain, target);
            Assert.DoesNotContain((byte)0, target.AsSpan(0, written).ToArray());
            Assert.Equal(length, Cobs.DecodeInPlace(target.AsSpan(0, written)));
            Assert.Equal(plain, target[..length]);
        }
    }

    [Fact]
    public void Write_KnownFrame_IsFrozen() =>
        Assert.Equal("0281032005010101070102ea84ee6000", Convert.ToHexStringLower(Wire(FrameType.Done, 0x0520, [0, 0, 1, 2])));

    [Fact]
    public void TryRead_AnyFramesInAnyPieces_ComeBack() => Check.QuickThrowOnFailure(Prop.ForAll(
        ArbMap.Default.ArbFor<byte[][]>(),
        ArbMap.Default.ArbFor<PositiveInt>(),
        (payloads, step) =>
        {
            payloads = payloads.Select(p => p ?? []).ToArray();
            var wire = payloads.SelectMany((payload, i) => Wire(FrameType.Output, (uint)i, payload)).ToArray();
            var reader = new FrameReader();
            var read = new List<byte[]>();
            foreach (var piece in wire.Chunk(step.Get))
            {
                ReadOnlySpan<byte> rest = piece;
                while (reader.TryRead(ref rest, out var frame))
                    read.Add(frame.Payload.ToArray());
            }

            return reader.BadFrames == 0 && read.Count == payloads.Length && read.Zip(payloads).All(p => p.First.SequenceEqual(p.Second));
        }));

    [Fact]
    public void TryRead_FrameAfterAnyGarbage_IsFound() => Check.QuickThrowOnFailure(Prop.ForAll(
        ArbMap.Default.ArbFor<byte[]>(),
        garbage =>
        {
            var reader = new FrameReader();
            ReadOnlySpan<byte> wire = [.. garbage ?? [], Frame.Delimiter, .. Wire(FrameType.Hello, 0, "token"u8.ToArray())];
            var last = "";
            while (reader.TryRead(ref wire, out var frame))
                last = Encoding.UTF8.GetString(frame.Payload);
            return last == "token";
        }));

    [Fact]
    public void TryRead_FrameCutAnywhere_IsNeverTakenForWhole()
    {
        var wire = Wire(FrameType.StartMain, 9, Encoding.UTF8.GetBytes(new string('x', 300)));
        for (var cut = 1; cut < wire.Length - 1; cut++)
        {
            var reader = new FrameReader();
            ReadOnlySpan<byte> rest = [.. wire.AsSpan(0, cut), Frame.Delimiter];
            Assert.False(reader.TryRead(ref rest, out _));
            Assert.Equal(1, reader.BadFrames);
        }
    }

    [Fact]
    public void TryRead_OneBitWrong_IsRefused()
    {
        var wire = Wire(FrameType.Output, 3, "some payload that matters"u8.ToArray());
        for (var bit = 0; bit < (wire.Length - 1) * 8; bit++)
        {
            var damaged = wire.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            var reader = new FrameReader();
            ReadOnlySpan<byte> rest = damaged;
            Assert.False(reader.TryRead(ref rest, out _));
        }
    }

    [Fact]
    public void TryRead_EndlessGarbage_HoldsNoMore()
    {
        var reader = new FrameReader();
        var noise = Enumerable.Repeat((byte)0xAA, 1 << 20).ToArray();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 64; i++)
        {
            ReadOnlySpan<byte> rest = noise;
            Assert.False(reader.TryRead(ref rest, out _));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        ReadOnlySpan<byte> next = [Frame.Delimiter, .. Wire(FrameType.Done, 1, [])];
        Assert.True(reader.TryRead(ref next, out var frame));
        Assert.Equal(FrameType.Done, frame.Type);
        Assert.Equal(1, reader.BadFrames);
    }

    [Fact]
    public void Write_LargestPayload_Fits()
    {
        var wire = Wire(FrameType.Configure, 1, Enumerable.Repeat((byte)1, Frame.MaxPayload).ToArray());
        Assert.True(wire.Length <= Frame.MaxWireLength(Frame.MaxPayload));
        var reader = new FrameReader();
        ReadOnlySpan<byte> rest = wire;
        Assert.True(reader.TryRead(ref rest, out var frame));
        Assert.Equal(Frame.MaxPayload, frame.Payload.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => Wire(FrameType.Configure, 1, new byte[Frame.MaxPayload + 1]));
    }

    internal static byte[] Wire(FrameType type, uint stream, byte[] payload)
    {
        var wire = new byte[Frame.MaxWireLength(payload.Length)];
        return wire[..Frame.Write(type, 0, stream, payload, new byte[payload.Length + Frame.Overhead], wire)];
    }
}

using System.Text;
using FsCheck;
using FsCheck.Fluent;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

public sealed class ConsoleRecordTests
{
    [Fact]
    public void Read_Little_IsAllOfIt()
    {
        var record = new ConsoleRecord();
        Assert.Null(record.Read(0));
        record.Add("one\n"u8);
        record.Add("two\n"u8);

        Assert.Equal("one\ntwo\n", TextOf(record.Read(0)));
        Assert.Equal("two\n", TextOf(record.Read(4)));
        Assert.Null(record.Read(8));
        Assert.Null(record.Read(long.MaxValue));
        Assert.Equal("one\n", TextOf(record.Read(-5))[..4]);
    }

    [Fact]
    public void Read_WithoutEnd_IsBeginningAndEnd()
    {
        var record = new ConsoleRecord();
        record.Add("first"u8);
        for (var i = 0; i < 100; i++)
            record.Add(new byte[10_000]);
        record.Add("last"u8);

        var first = record.Read(0)!;
        Assert.Equal((0, ConsoleRecord.Kept), (first.Offset, first.Data.Length));
        Assert.StartsWith("first", TextOf(first), StringComparison.Ordinal);
        var last = record.Read(first.Next)!;
        Assert.Equal((record.Total - ConsoleRecord.Kept, ConsoleRecord.Kept), (last.Offset, last.Data.Length));
        Assert.EndsWith("last", TextOf(last), StringComparison.Ordinal);
        Assert.Equal(1_000_009, last.Next);
        Assert.Null(record.Read(last.Next));
    }

    [Fact]
    public void FromBytes_OfToBytes_IsTheSame() => Prop.ForAll(
        ArbMap.Default.ArbFor<byte[][]>(),
        pieces =>
        {
            var (record, all) = (new ConsoleRecord(), pieces.SelectMany(piece => Enumerable.Repeat(piece, 500).SelectMany(p => p)).ToArray());
            foreach (var piece in pieces)
                for (var i = 0; i < 500; i++)
                    record.Add(piece);
            var again = ConsoleRecord.FromBytes(record.ToBytes());
            var read = new List<byte>();
            for (var chunk = again.Read(0); chunk is not null; chunk = again.Read(chunk.Next))
                read.AddRange(chunk.Data.Span);
            return again.Total == all.Length
                && (all.Length <= 2 * ConsoleRecord.Kept
                    ? read.SequenceEqual(all)
                    : read.Take(ConsoleRecord.Kept).SequenceEqual(all.Take(ConsoleRecord.Kept)) && read.Skip(ConsoleRecord.Kept).SequenceEqual(all.TakeLast(ConsoleRecord.Kept)));
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("this is longer than its head and nothing that was ever written")]
    public void FromBytes_Garbage_IsEmpty(string text) => Assert.Null(ConsoleRecord.FromBytes(Encoding.UTF8.GetBytes(text)).Read(0));

    private static string TextOf(ConsoleChunk? chunk) => Encoding.UTF8.GetString(chunk!.Data.Span);
}

using System.IO.Pipelines;
using BytePort.Server.Grpc;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf.WellKnownTypes;

namespace BytePort.Server.Tests.Grpc;

public sealed class GrpcPartsTests
{
    [Theory]
    [InlineData("1H", 3_600_000)]
    [InlineData("2M", 120_000)]
    [InlineData("3S", 3000)]
    [InlineData("99999999m", 99_999_999)]
    [InlineData("1500u", 1.5)]
    [InlineData("0n", 0)]
    [InlineData("99999999H", 40d * 24 * 3_600_000)]
    public void TryParse_Timeout_IsRead(string text, double milliseconds)
    {
        Assert.True(GrpcTimeout.TryParse(text, out var timeout));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), timeout);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("S")]
    [InlineData("-1S")]
    [InlineData("1.5S")]
    [InlineData("123456789m")]
    [InlineData("1s")]
    public void TryParse_NoTimeout_IsRefused(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData("plain text", "plain text")]
    [InlineData("50 %", "50 %25")]
    [InlineData("über\n", "%C3%BCber%0A")]
    public void EncodeMessage_Text_IsPercentEncoded(string text, string expected) => Assert.Equal(expected, GrpcMetadata.EncodeMessage(text));

    [Fact]
    public void EncodeMessage_AnyText_ReadsBack() =>
        Prop.ForAll<NonNull<string>>(text => char.IsSurrogate((text.Get + " ")[0]) || Uri.UnescapeDataString(GrpcMetadata.EncodeMessage(Clean(text.Get))) == Clean(text.Get))
            .QuickCheckThrowOnFailure();

    [Fact]
    public void ReadOnlyAsync_AnyBytesInAnyPieces_IsAMessageOrAStatus()
    {
        var bodies = Gen.Frequency(
            (1, Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf()),
            (3, Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf().Select(payload => (byte[])[0, 0, 0, 0, (byte)payload.Length, .. payload])));
        Prop.ForAll(Gen.Zip(bodies, Gen.Choose(1, 7)).ToArbitrary(), pair => Read(pair.Item1, pair.Item2)).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    private static bool Read(byte[] body, int piece)
    {
        var pipe = new Pipe();
        var writing = Task.Run(async () =>
        {
            foreach (var part in body.Chunk(piece))
                await pipe.Writer.WriteAsync(part);
            await pipe.Writer.CompleteAsync();
        });
        try
        {
            return GrpcMessages.ReadOnlyAsync(pipe.Reader, BytesValue.Parser, "gzip", CancellationToken.None).GetAwaiter().GetResult() is not null;
        }
        catch (GrpcException e)
        {
            return e.Status is GrpcStatusCode.Internal or GrpcStatusCode.Unimplemented or GrpcStatusCode.ResourceExhausted;
        }
        finally
        {
            pipe.Reader.Complete();
            writing.GetAwaiter().GetResult();
        }
    }

    /// <summary>Half a pair of surrogates has no bytes of UTF-8.</summary>
    private static string Clean(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.ToString()));
}

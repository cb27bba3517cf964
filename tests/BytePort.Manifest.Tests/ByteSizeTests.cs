using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Manifest.Tests;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("1Gi", 1L << 30)]
    [InlineData("10GB", 10_000_000_000)]
    [InlineData("512", 512)]
    [InlineData("5KiB", 5120)]
    public void TryParse_Right_IsRead(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var value));
        Assert.Equal(bytes, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Gi")]
    [InlineData("1.5Gi")]
    [InlineData("-1")]
    [InlineData("1gi")]
    [InlineData("2000Ti")]
    [InlineData("9999999999999999")]
    public void TryParse_Wrong_IsRefused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Fact]
    public void Format_AnyAmount_ReadsBack() => Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), number =>
        ByteSize.TryParse(ByteSize.Format(number * 1024L), out var bytes) && bytes == number * 1024L)
        .QuickCheckThrowOnFailure();
}

using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Manifest.Tests;

public sealed class DurationTests
{
    [Theory]
    [InlineData("30s", 30_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("500ms", 500)]
    [InlineData("2d", 172_800_000)]
    public void TryParse_Right_IsRead(string text, long milliseconds)
    {
        Assert.True(Duration.TryParse(text, out var value));
        Assert.Equal(milliseconds, value.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("m")]
    [InlineData("5 m")]
    [InlineData("-5m")]
    [InlineData("30m1h")]
    [InlineData("1m1m")]
    [InlineData("366d")]
    [InlineData("9999999999s")]
    public void TryParse_Wrong_IsRefused(string text) => Assert.False(Duration.TryParse(text, out _));

    [Fact]
    public void Format_AnyAmount_ReadsBack() => Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), number =>
        Duration.TryParse(Duration.Format(TimeSpan.FromMilliseconds(number)), out var time) && (long)time.TotalMilliseconds == number)
        .QuickCheckThrowOnFailure();
}

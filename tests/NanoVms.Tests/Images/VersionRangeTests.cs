using NanoVms.Images;

namespace NanoVms.Tests.Images;

public class VersionRangeTests
{
    [Theory]
    [InlineData("22", "22.11.0", "21.9.9", "23.0.0")]
    [InlineData("20.11", "20.11.9", "20.10.0", "20.12.0")]
    [InlineData("20.x", "20.18.1", "19.0.0", "21.0.0")]
    [InlineData("v20.11.0", "20.11.0", "20.11.1")]
    [InlineData("=20.11.0", "20.11.0", "20.11.1")]
    [InlineData(">=18 <23", "22.99.0", "17.9.9", "23.0.0")]
    [InlineData(">= 18.0.0", "30.0.0", "17.0.0")]
    [InlineData("^20", "20.99.0", "21.0.0")]
    [InlineData("^20.3.1", "20.3.1", "20.3.0", "21.0.0")]
    [InlineData("^0.2.3", "0.2.9", "0.3.0")]
    [InlineData("^0.0.3", "0.0.3", "0.0.4")]
    [InlineData("~1.2.3", "1.2.9", "1.3.0", "1.2.2")]
    [InlineData("~1", "1.9.0", "2.0.0")]
    [InlineData("18 || 20", "20.1.0", "19.0.0", "21.0.0")]
    [InlineData("^18.17.0 || >=20.5.0", "21.0.0", "18.16.0", "19.0.0")]
    [InlineData("1.2 - 2.3", "2.3.9", "1.1.9", "2.4.0")]
    [InlineData(">20", "21.0.0", "20.9.0")]
    [InlineData("<=20", "20.9.0", "21.0.0")]
    [InlineData("*", "1.0.0", "2.0.0-rc.1")]
    [InlineData("", "1.0.0", "2.0.0-rc.1")]
    [InlineData("2.0.0-rc.1", "2.0.0-rc.1", "2.0.0", "2.0.0-rc.2")]
    public void Contains_Versions_AsNpmDoes(string range, string inside, params string[] outside)
    {
        Assert.True(VersionRange.TryParse(range, out var parsed));
        Assert.True(parsed.Contains(Version(inside)), $"{range} should contain {inside}");
        Assert.All(outside, text => Assert.False(parsed.Contains(Version(text)), $"{range} should not contain {text}"));
    }

    [Theory]
    [InlineData("latest")]
    [InlineData("20.")]
    [InlineData("1.2.3.4")]
    [InlineData(">>18")]
    [InlineData("x.1")]
    [InlineData("99999999999")]
    [InlineData("18; rm -rf /")]
    public void TryParse_NoRange_IsFalse(string text) => Assert.False(VersionRange.TryParse(text, out _));

    [Fact]
    public void Newest_OfMany_IsTheHighestInside()
    {
        Assert.True(VersionRange.TryParse("22", out var range));
        var versions = new[] { "22.2.0", "22.11.0", "22.9.0", "23.0.0", "22.12.0-rc.1" }.Select(Version);
        Assert.Equal("22.11.0", range.Newest(versions).ToString());
        Assert.Null(range.Newest([]));
    }

    private static SemanticVersion Version(string text) =>
        SemanticVersion.TryParse(text, out var version) ? version : throw new ArgumentException(text);
}

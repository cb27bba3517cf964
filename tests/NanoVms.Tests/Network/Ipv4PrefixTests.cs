using System.Net;
using FsCheck;
using FsCheck.Fluent;
using NanoVms.Network;

namespace NanoVms.Tests.Network;

public sealed class Ipv4PrefixTests
{
    [Theory]
    [InlineData("10.77.3.4/16", "10.77.0.0/16")]
    [InlineData("192.0.2.1", "192.0.2.1/32")]
    [InlineData("1.2.3.4/0", "0.0.0.0/0")]
    public void TryParse_Network_DropsHostBits(string text, string expected)
    {
        Assert.True(Ipv4Prefix.TryParse(text, out var prefix));
        Assert.Equal(expected, prefix.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/16/2")]
    [InlineData("fd00::/8")]
    [InlineData("default")]
    public void TryParse_NoNetwork_IsFalse(string? text) => Assert.False(Ipv4Prefix.TryParse(text, out _));

    [Fact]
    public void At_AnyPlace_IsContained() => Prop.ForAll<uint, byte, uint>((address, length, place) =>
    {
        var prefix = Ipv4Prefix.Parse($"{new IPAddress(BitConverter.GetBytes(address))}/{length % 33}");
        var found = prefix.At(place % prefix.Count);
        return prefix.Contains(found) && prefix.Overlaps(Ipv4Prefix.Parse(found.ToString()));
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("10.77.0.0/16", "10.0.0.0/8", true)]
    [InlineData("10.77.0.0/16", "10.77.255.0/24", true)]
    [InlineData("10.77.0.0/16", "10.78.0.0/16", false)]
    public void Overlaps_EitherWay_IsTheSame(string left, string right, bool expected)
    {
        Assert.Equal(expected, Ipv4Prefix.Parse(left).Overlaps(Ipv4Prefix.Parse(right)));
        Assert.Equal(expected, Ipv4Prefix.Parse(right).Overlaps(Ipv4Prefix.Parse(left)));
    }
}

using System.Globalization;
using BytePort.Edge.StaticFiles;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Edge.Tests.StaticFiles;

public class AcceptEncodingTests
{
    private static readonly string[] Offers = ["br", "gzip"];

    [Theory]
    [InlineData("", null)]
    [InlineData("gzip, deflate, br, zstd", "br")]
    [InlineData("gzip", "gzip")]
    [InlineData("x-gzip", "gzip")]
    [InlineData("GZIP;Q=0.5", "gzip")]
    [InlineData("br;q=0.5, gzip;q=0.8", "gzip")]
    [InlineData("br;q=0, gzip;q=0", null)]
    [InlineData("br;q=0, *", "gzip")]
    [InlineData("*", "br")]
    [InlineData("*;q=0", null)]
    [InlineData("identity;q=1, br;q=0.5", null)]
    [InlineData("identity, br", "br")]
    [InlineData("identity;q=0", null)]
    [InlineData("deflate", null)]
    [InlineData("br;q=1.5, gzip", "gzip")]
    [InlineData("br;q=1.001", null)]
    [InlineData("br;q=0.0001, gzip;q=0.001", "gzip")]
    [InlineData("br ; q=1.000", "br")]
    [InlineData(" ,, br", "br")]
    [InlineData("brotli", null)]
    [InlineData("br;", null)]
    public void Choose_Header_SelectsByQualityThenOffer(string header, string? expected)
    {
        var choice = AcceptEncoding.Choose(header, Offers);
        Assert.Equal(expected, choice < 0 ? null : Offers[choice]);
    }

    [Fact]
    public void Choose_AnyText_NeverThrows() =>
        Prop.ForAll<string>(header => AcceptEncoding.Choose(header ?? "", Offers) is >= -1 and < 2).QuickCheckThrowOnFailure();

    [Fact]
    public void Choose_WellFormed_AgreesWithModel()
    {
        var item = from name in Gen.Elements("br", "gzip", "identity", "*", "deflate")
                   from quality in Gen.Choose(0, 1000)
                   select (name, quality);
        Prop.ForAll(item.ListOf().ToArbitrary(), items =>
        {
            var list = items.DistinctBy(pair => pair.name).ToArray();
            var header = string.Join(", ", list.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.name};q={pair.quality / 1000m:0.###}")));
            int? Quality(string name) => list.Any(pair => pair.name == name) ? list.Single(pair => pair.name == name).quality : null;
            var br = Quality("br") ?? Quality("*") ?? 0;
            var gzip = Quality("gzip") ?? Quality("*") ?? 0;
            var identity = Quality("identity") ?? 0;
            var best = Math.Max(br, gzip);
            var expected = best == 0 || identity > best ? -1 : br == best ? 0 : 1;
            return AcceptEncoding.Choose(header, Offers) == expected;
        }).QuickCheckThrowOnFailure();
    }
}

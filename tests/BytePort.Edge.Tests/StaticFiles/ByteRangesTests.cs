using BytePort.Edge.StaticFiles;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Edge.Tests.StaticFiles;

public class ByteRangesTests
{
    [Theory]
    [InlineData("bytes=0-0", "0-0")]
    [InlineData("bytes=0-", "0-99")]
    [InlineData("bytes=90-200", "90-99")]
    [InlineData("bytes=-10", "90-99")]
    [InlineData("bytes=-1000", "0-99")]
    [InlineData("BYTES=5-6", "5-6")]
    [InlineData("bytes=0-1, 4-5", "0-1 4-5")]
    [InlineData("bytes=0-1,,\t4-5,", "0-1 4-5")]
    [InlineData("bytes=500-600, 1-2", "1-2")]
    [InlineData("bytes=0-99999999999999999999999", "0-99")]
    public void Parse_Satisfiable_GivesParts(string header, string expected)
    {
        Assert.Equal(RangeOutcome.Satisfiable, ByteRanges.Parse(header, 100, 16, out var ranges));
        Assert.Equal(expected, string.Join(' ', ranges.Select(range => $"{range.First}-{range.Last}")));
    }

    [Theory]
    [InlineData("bytes=100-")]
    [InlineData("bytes=100-200,300-")]
    [InlineData("bytes=-0")]
    [InlineData("bytes=99999999999999999999999-")]
    public void Parse_OutsideContent_IsUnsatisfiable(string header) =>
        Assert.Equal(RangeOutcome.Unsatisfiable, ByteRanges.Parse(header, 100, 16, out _));

    [Theory]
    [InlineData("")]
    [InlineData("bytes")]
    [InlineData("bytes=")]
    [InlineData("bytes=,")]
    [InlineData("bytes=-")]
    [InlineData("bytes=5")]
    [InlineData("bytes=6-5")]
    [InlineData("bytes=a-b")]
    [InlineData("bytes=1-2-3")]
    [InlineData("bytes=+1-2")]
    [InlineData("bytes= 1 - 2")]
    [InlineData("items=0-5")]
    [InlineData("bytes=0-1,oops")]
    [InlineData("bytes=0-99,0-99")]
    public void Parse_Senseless_IsIgnored(string header) =>
        Assert.Equal(RangeOutcome.Ignored, ByteRanges.Parse(header, 100, 16, out _));

    [Fact]
    public void Parse_TooManyRanges_IsIgnored() =>
        Assert.Equal(RangeOutcome.Ignored, ByteRanges.Parse("bytes=" + string.Join(',', Enumerable.Range(0, 17).Select(i => $"{i}-{i}")), 100, 16, out _));

    [Fact]
    public void Parse_EmptyContent_IsUnsatisfiable()
    {
        Assert.Equal(RangeOutcome.Unsatisfiable, ByteRanges.Parse("bytes=0-", 0, 16, out _));
        Assert.Equal(RangeOutcome.Unsatisfiable, ByteRanges.Parse("bytes=-5", 0, 16, out _));
    }

    [Fact]
    public void Parse_AnyText_StaysInsideContent()
    {
        var text = from parts in Gen.Elements("bytes=", "-", ",", "0", "7", "42", " ", "\t", "x", "9223372036854775808").ListOf()
                   from total in Gen.Choose(0, 100)
                   select (Header: string.Concat(parts.Prepend("bytes=")), Total: (long)total);
        Prop.ForAll(text.ToArbitrary(), input =>
        {
            var outcome = ByteRanges.Parse(input.Header, input.Total, 16, out var ranges);
            return outcome == RangeOutcome.Satisfiable
                ? ranges.Length is > 0 and <= 16 && ranges.All(range => range.First >= 0 && range.First <= range.Last && range.Last < input.Total)
                    && (ranges.Length == 1 || ranges.Sum(range => range.Length) <= input.Total)
                : ranges.Length == 0;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }

    [Fact]
    public void Parse_WellFormed_AgreesWithModel()
    {
        var one = from first in Gen.Choose(-1, 120)
                  from last in Gen.Choose(-1, 120)
                  where first >= 0 || last >= 0
                  select (first, last);
        Prop.ForAll(one.ToArbitrary(), spec =>
        {
            var header = $"bytes={(spec.first < 0 ? "" : spec.first)}-{(spec.last < 0 ? "" : spec.last)}";
            var asked = Enumerable.Range(0, 100).Where(i => spec.first < 0 ? i >= 100 - spec.last : i >= spec.first && (spec.last < 0 || i <= spec.last)).ToArray();
            var outcome = ByteRanges.Parse(header, 100, 16, out var ranges);
            if (spec.first >= 0 && spec.last >= 0 && spec.last < spec.first)
                return outcome == RangeOutcome.Ignored;
            return asked.Length == 0
                ? outcome == RangeOutcome.Unsatisfiable
                : ranges is [var range] && range.First == asked[0] && range.Last == asked[^1];
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }
}

using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge.Tests.StaticFiles;

public class PreconditionsTests
{
    private const string Tag = "\"abc\"";
    private const string Before = "Wed, 01 Jan 2025 11:59:59 GMT";
    private const string Same = "Wed, 01 Jan 2025 12:00:00 GMT";
    private const string After = "Wed, 01 Jan 2025 12:00:01 GMT";
    private static readonly DateTimeOffset Modified = new(2025, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("\"abc\"", true, true)]
    [InlineData("W/\"abc\"", true, false)]
    [InlineData("\"x\", \"abc\"", true, true)]
    [InlineData("\"x\",W/\"abc\"", true, false)]
    [InlineData("*", true, true)]
    [InlineData(" * ", true, true)]
    [InlineData("\"x,y\", \"abc\"", true, true)]
    [InlineData("abc", false, false)]
    [InlineData("\"abc", false, false)]
    [InlineData("\"x\" \"abc\"", false, false)]
    [InlineData("", false, false)]
    public void ContainsTag_List_ComparesWeaklyOrStrongly(string list, bool weakly, bool strongly)
    {
        Assert.Equal(weakly, Preconditions.ContainsTag(list, Tag, weakly: true));
        Assert.Equal(strongly, Preconditions.ContainsTag(list, Tag, weakly: false));
    }

    [Theory]
    [InlineData("If-None-Match", Tag, PreconditionOutcome.NotModified)]
    [InlineData("If-None-Match", "\"other\"", PreconditionOutcome.Proceed)]
    [InlineData("If-Match", Tag, PreconditionOutcome.Proceed)]
    [InlineData("If-Match", "\"other\"", PreconditionOutcome.Failed)]
    [InlineData("If-Modified-Since", Before, PreconditionOutcome.Proceed)]
    [InlineData("If-Modified-Since", Same, PreconditionOutcome.NotModified)]
    [InlineData("If-Modified-Since", After, PreconditionOutcome.NotModified)]
    [InlineData("If-Modified-Since", "yesterday", PreconditionOutcome.Proceed)]
    [InlineData("If-Unmodified-Since", Before, PreconditionOutcome.Failed)]
    [InlineData("If-Unmodified-Since", Same, PreconditionOutcome.Proceed)]
    [InlineData("If-Unmodified-Since", "yesterday", PreconditionOutcome.Proceed)]
    public void Evaluate_OneCondition_Decides(string name, string value, object expected) =>
        Assert.Equal(expected, Preconditions.Evaluate(new HeaderDictionary { [name] = value }, Tag, Modified));

    [Fact]
    public void Evaluate_TagAndDate_TagDecides()
    {
        Assert.Equal(PreconditionOutcome.Proceed, Preconditions.Evaluate(new HeaderDictionary { ["If-None-Match"] = "\"old\"", ["If-Modified-Since"] = After }, Tag, Modified));
        Assert.Equal(PreconditionOutcome.Proceed, Preconditions.Evaluate(new HeaderDictionary { ["If-Match"] = Tag, ["If-Unmodified-Since"] = Before }, Tag, Modified));
    }

    [Fact]
    public void Evaluate_NoDateKnown_DatesDecideNothing() =>
        Assert.Equal(PreconditionOutcome.Proceed, Preconditions.Evaluate(new HeaderDictionary { ["If-Modified-Since"] = After, ["If-Unmodified-Since"] = Before }, Tag, null));

    [Theory]
    [InlineData(null, true)]
    [InlineData(Tag, true)]
    [InlineData("W/\"abc\"", false)]
    [InlineData("\"other\"", false)]
    [InlineData(Same, true)]
    [InlineData(After, false)]
    [InlineData("nonsense", false)]
    public void AllowsRange_IfRange_OnlyForTheSameVersion(string? ifRange, bool expected) =>
        Assert.Equal(expected, Preconditions.AllowsRange(ifRange, Tag, Modified));
}

using System.Diagnostics;
using System.Text;
using BytePort.Manifest.Toml;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Manifest.Tests.Toml;

/// <summary>Whatever the bytes are, the reader ends soon, with a document or with an error that has a place.</summary>
public sealed class TomlFuzzTests
{
    private static readonly string[] Pieces =
    [
        "a", "b", ".", "=", " ", "\t", "\n", "\r\n", "\r", "[", "]", "[[", "]]", "{", "}", ",", "#", "\"", "\"\"\"", "'", "'''", "\\", "\\u00e9",
        "\\U0010FFFF", "\\\n", "0", "1", "9", "0x", "0b1", "_", "-", "+", "e", "inf", "nan", "true", "false", "1979-05-27", "T", "07:32:00", ".5", "Z",
        "+01:00", "é", "😀", "\ufeff", "\0", "\x7f", "[a.b]\n", "a = 1\n", "a.b = {}\n", "[[a]]\n",
    ];

    [Fact]
    public void Read_AnyPieces_AreADocumentOrAnError() =>
        Prop.ForAll(Gen.Elements(Pieces).ListOf().Select(pieces => Encoding.UTF8.GetBytes(string.Concat(pieces))).ToArbitrary(), IsHandled)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));

    [Fact]
    public void Read_AnyBytes_AreADocumentOrAnError() =>
        Prop.ForAll(Gen.Choose(0, 255).Select(number => (byte)number).ArrayOf().ToArbitrary(), IsHandled)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(5000));

    [Fact]
    public void Read_DamagedCase_IsADocumentOrAnError()
    {
        var cases = Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests", "BytePort.Manifest.Tests", "Toml", "Cases", "valid"), "*.toml", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal).Select(File.ReadAllBytes).Where(bytes => bytes.Length > 0).ToArray();
        var damaged =
            from bytes in Gen.Elements(cases)
            from place in Gen.Choose(0, bytes.Length - 1)
            from cut in Gen.Choose(0, Math.Min(8, bytes.Length - place))
            from piece in Gen.Elements(Pieces)
            select bytes[..place].Concat(Encoding.UTF8.GetBytes(piece)).Concat(bytes[(place + cut)..]).ToArray();
        Prop.ForAll(damaged.ToArbitrary(), IsHandled).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    /// <summary>The largest documents of patterns that make careless readers walk the same text again and again; quadratic would be minutes.</summary>
    [Theory]
    [InlineData("", "a=[", "")]
    [InlineData("a=[", "0,", "]")]
    [InlineData("a=[", "\n", "]")]
    [InlineData("a=[", "#\n", "]")]
    [InlineData("a=[", "{},", "]")]
    [InlineData("", "[[a]]\n", "")]
    [InlineData("", "[[a.b.c.d]]\ne.f=1\n", "")]
    [InlineData("a=\"\"\"", "\\\n ", "\"\"\"")]
    [InlineData("a=\"\"\"", "\\ \t", "\"\"\"")]
    [InlineData("a=\"\"\"", "\"\"a", "\"\"\"")]
    [InlineData("a='''", "'", "")]
    [InlineData("a=\"", "\\u00e9", "\"")]
    [InlineData("a=\"", "é", "")]
    [InlineData("a=", "1_", "1")]
    [InlineData("a=", "1", ".x")]
    [InlineData("a=0.", "1", "")]
    [InlineData("a=1e", "0", "x")]
    [InlineData("a=0x", "0", "1")]
    [InlineData("a=07:32:00.", "1", "x")]
    [InlineData("a.", "b.", "c=1")]
    [InlineData("", " ", "a")]
    [InlineData("", "a", "")]
    [InlineData("", "\"\".", "")]
    public void Read_LargestOfAPattern_TakesLinearTime(string head, string pattern, string tail)
    {
        var count = (TomlReader.MaxBytes - 64) / Encoding.UTF8.GetByteCount(pattern);
        var bytes = Encoding.UTF8.GetBytes(head + string.Concat(Enumerable.Repeat(pattern, count)) + tail);
        var watch = Stopwatch.StartNew();
        Assert.True(IsHandled(bytes));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed} for {bytes.Length} bytes.");
    }

    [Fact]
    public void Read_MostKeys_TakesLinearTime()
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < TomlReader.MaxBytes - 64; i++)
            text.Append('k').Append(i).Append(i % 2 == 0 ? "=1\n" : ".x=1\n");
        var watch = Stopwatch.StartNew();
        Assert.True(TomlReader.Read(Encoding.UTF8.GetBytes(text.ToString())).Entries.Count > 50_000);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
    }

    private static bool IsHandled(byte[] bytes)
    {
        try
        {
            _ = TomlReader.Read(bytes);
            return true;
        }
        catch (TomlException e)
        {
            return e.Location is { Line: >= 1, Column: >= 1 } && e.Message.Length > 0 && !e.Message.Any(char.IsControl);
        }
    }
}

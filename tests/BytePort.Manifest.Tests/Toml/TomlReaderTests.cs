using System.Text;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Tests.Toml;

/// <summary>Where errors are, limits, and corners of the specification that the suite leaves out.</summary>
public sealed class TomlReaderTests
{
    [Theory]
    [InlineData("a = 1\nb = tru", 2, 5, "\"tru\" is not a value.")]
    [InlineData("a = True", 1, 5, "\"True\" is not a value.")]
    [InlineData("a =", 1, 4, "A value is missing; the end of the file is no value.")]
    [InlineData("a = 1 b = 2", 1, 7, "After a value the line must end, but \"b\" follows.")]
    [InlineData("\n\n[a\n", 3, 3, "The header of a table must end with ], but the end of the line follows.")]
    [InlineData("x = [1,\n  2\n  3]", 3, 3, "In the array that starts on line 1 a comma or ] must stand here, but \"3\" follows.")]
    [InlineData("x = { a = 1\n}", 1, 12, "In the table in braces that starts on line 1 a comma or } must stand here, but the end of the line follows.")]
    [InlineData("[a]\nb = 1\n[a]", 3, 2, "The key \"a\" is already on line 1 and cannot be defined again.")]
    [InlineData("a = 1\n\"a\" = 2", 2, 1, "The key \"a\" is already on line 1 and cannot be given again.")]
    [InlineData("a = \"\"\"\nx\n\\q\"\"\"", 3, 1, "This is not an escape.")]
    [InlineData("# \u0001", 1, 3, "The control character U+0001 may not be written in a comment.")]
    [InlineData("é = 1", 1, 1, "A key is missing; \"é\" is no key.")]
    [InlineData("a = 2026-02-30", 1, 13, "\"2026-02-30\" is not a date or time: 30 must be from 01 to 28.")]
    [InlineData("a = 9223372036854775808", 1, 5, "9223372036854775808 does not fit into 64 bits with a sign.")]
    [InlineData("'😀' = 1\na.b = 'x' '😀'", 2, 11, "After a value the line must end, but \"'\" follows.")]
    public void Read_Wrong_SaysWhereAndWhat(string text, int line, int column, string message)
    {
        var error = Assert.Throws<TomlException>(() => Read(text));
        Assert.Equal((line, column, message), (error.Location.Line, error.Location.Column, error.Message));
    }

    [Fact]
    public void Read_NotUtf8_SaysWhere()
    {
        var error = Assert.Throws<TomlException>(() => TomlReader.Read([.. "a = 1\nb = 'é"u8, 0xff, .. "'"u8]));
        Assert.Equal((new Location(2, 7), "The byte 0xFF is not UTF-8."), (error.Location, error.Message));
    }

    [Theory]
    [InlineData("0xDEAD_beef", 0xdeadbeef)]
    [InlineData("0x7fffffffffffffff", long.MaxValue)]
    [InlineData("0b0000_0101", 5)]
    [InlineData("0o0755", 493)]
    [InlineData("-9223372036854775808", long.MinValue)]
    [InlineData("+0", 0)]
    public void Read_Integer_IsItsValue(string text, long expected) => Assert.Equal(expected, ((TomlInteger)Value(text)).Number);

    [Theory]
    [InlineData("0x8000000000000000")]
    [InlineData("0xffffffffffffffffff")]
    [InlineData("-9223372036854775809")]
    [InlineData("+0x1")]
    [InlineData("-01")]
    [InlineData("0e")]
    [InlineData("1.e5")]
    [InlineData("1979-05-27T07:32")]
    [InlineData("1979-05-27 07:32:60.5.5")]
    [InlineData("1979-05-27T07:32:00+24:00")]
    [InlineData("1979-05-27T07:32:00Zx")]
    [InlineData("24:00:00")]
    [InlineData("07:32:00Z")]
    [InlineData("\"\\uD800\"")]
    [InlineData("\"\\U00110000\"")]
    [InlineData("\"\"\"a\\ b\"\"\"")]
    [InlineData("''''''''''")]
    [InlineData("{ a = 1, }")]
    [InlineData("[,]")]
    public void Read_NoValue_IsRefused(string text) => Assert.Throws<TomlException>(() => Value(text));

    [Fact]
    public void Read_FloatWithoutPoint_IsAFloat() => Assert.Equal(1e6, ((TomlFloat)Value("1e0_6")).Number);

    [Fact]
    public void Read_ZeroWithMinus_KeepsItsSign() => Assert.True(double.IsNegative(((TomlFloat)Value("-0.0")).Number));

    [Fact]
    public void Read_LeapSecondInYearZero_IsKept()
    {
        var value = (TomlDateTime)Value("0000-02-29 23:59:60.1234567899-00:30");
        Assert.Equal(new TomlDate(0, 2, 29), value.Date);
        Assert.Equal(new TomlTime(23, 59, 60, 123_456_789), value.Time);
        Assert.Equal(-30, value.OffsetMinutes);
    }

    [Theory]
    [InlineData("\"\"\"\r\na\\  \r\n \t\n  b\r\nc\"\"\"\"\"", "ab\r\nc\"\"")]
    [InlineData("'''\n'a''b'''''", "'a''b''")]
    [InlineData("\"\\U0001F600\\t\"", "😀\t")]
    [InlineData("\"\"", "")]
    public void Read_Text_IsUnescaped(string text, string expected) => Assert.Equal(expected, ((TomlString)Value(text)).Text);

    [Theory]
    [InlineData("[a.b.c]\nz = 1\n[a]\nb.d = 2", true)]
    [InlineData("[a.b.c]\nz = 1\n[a]\nb.d = 2\n[a.b]", false)]
    [InlineData("a.b = 1\n[a.c]", true)]
    [InlineData("a.b = 1\n[a]", false)]
    [InlineData("[[a]]\n[a.b]\n[[a]]\n[a.b]", true)]
    [InlineData("a = []\n[[a]]", false)]
    [InlineData("a = { b = {} }\na.b.c = 1", false)]
    [InlineData("a = { b = {} }\n[a.c]", false)]
    [InlineData("a = { b.c = 1, b.d = 2 }", true)]
    [InlineData("[a.b]\n[[a]]", false)]
    public void Read_TableAgain_IsAsTheSpecificationSays(string text, bool right)
    {
        if (right)
            _ = Read(text);
        else
            _ = Assert.Throws<TomlException>(() => Read(text));
    }

    [Fact]
    public void Read_EveryWayOfNesting_HasTheSameLimit()
    {
        var depth = TomlReader.MaxDepth;
        var keys = string.Join('.', Enumerable.Repeat("a", depth));
        string[] right = [$"a = {new string('[', depth - 1)}{new string(']', depth - 1)}", $"[{keys}]", $"{keys} = 1"];
        string[] wrong =
        [
            $"a = {new string('[', depth + 1)}{new string(']', depth + 1)}",
            $"[{keys}.b]",
            $"[{keys}]\nb.c = 1",
            $"{keys}.b.c = 1",
            $"[{keys}]\nb = []",
            string.Concat(Enumerable.Repeat("a = { ", depth + 2)),
        ];
        Assert.All(right, text => _ = Read(text));
        Assert.All(wrong, text => Assert.Equal($"Nested more than {depth} deep.", Assert.Throws<TomlException>(() => Read(text)).Message));
    }

    [Fact]
    public void Read_TooLarge_IsRefused() =>
        Assert.Contains("larger than 1024 KiB", Assert.Throws<TomlException>(() => TomlReader.Read(new byte[TomlReader.MaxBytes + 1])).Message, StringComparison.Ordinal);

    private static TomlTable Read(string text) => TomlReader.Read(Encoding.UTF8.GetBytes(text));

    private static TomlValue Value(string text) => Read($"a = {text}").Entries["a"].Value;
}

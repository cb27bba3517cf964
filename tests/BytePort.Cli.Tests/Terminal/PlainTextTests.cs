using BytePort.Cli.Terminal;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Cli.Tests.Terminal;

public sealed class PlainTextTests
{
    [Theory]
    [InlineData("plain\ttext", "plain\ttext", "plain\ttext")]
    [InlineData("\u001b[31mred\u001b[0m", "red", "\u001b[31mred\u001b[0m")]
    [InlineData("\u001b[38;2;1;2;3mx", "x", "\u001b[38;2;1;2;3mx")]
    [InlineData("a\u001b[2Jb\u001b[1;1Hc", "abc", "abc")]
    [InlineData("\u001b]0;evil\u0007title", "title", "title")]
    [InlineData("\u001b]8;;http://x\u001b\\link", "link", "link")]
    [InlineData("\u001bcreset", "reset", "reset")]
    [InlineData("bell\u0007 back\b\r", "bell back", "bell back")]
    [InlineData("\u202egnp.exe", "gnp.exe", "gnp.exe")]
    [InlineData("\u001b", "", "")]
    [InlineData("\u001b[", "", "")]
    [InlineData("\u001b[?25m", "", "")]
    public void Clean_ControlSequences_AreDropped(string text, string plain, string colored)
    {
        Assert.Equal(plain, PlainText.Clean(text));
        Assert.Equal(colored, PlainText.Clean(text, keepColors: true));
    }

    [Fact]
    public void Clean_AnyText_LeavesNoControls() => Prop.ForAll<string?>(text =>
        PlainText.Clean((text ?? "").Replace('a', '\u001b').Replace('b', '[')).All(c => c == '\t' || !char.IsControl(c))).QuickCheckThrowOnFailure();
}

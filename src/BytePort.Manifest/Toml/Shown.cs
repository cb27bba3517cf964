using System.Text;

namespace BytePort.Manifest.Toml;

/// <summary>Text of somebody's file as messages show it: short, and without controls, which a terminal would obey.</summary>
internal static class Shown
{
    private const int MaxRunes = 40;

    public static string Of(string text)
    {
        var shown = new StringBuilder();
        foreach (var rune in text.EnumerateRunes().Take(MaxRunes))
            shown.Append((Rune.IsControl(rune) ? Rune.ReplacementChar : rune).ToString());
        return shown.Length < text.Length ? shown.Append('…').ToString() : shown.ToString();
    }
}

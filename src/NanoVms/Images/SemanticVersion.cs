using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace NanoVms.Images;

/// <summary>A version of the npm world (semver.org 2.0). Build metadata is dropped.</summary>
/// <param name="Prerelease">What follows the dash, or empty.</param>
public readonly record struct SemanticVersion(int Major, int Minor, int Patch, string Prerelease = "") : IComparable<SemanticVersion>
{
    public bool IsPrerelease => !string.IsNullOrEmpty(Prerelease);

    public static bool operator <(SemanticVersion left, SemanticVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(SemanticVersion left, SemanticVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(SemanticVersion left, SemanticVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(SemanticVersion left, SemanticVersion right) => left.CompareTo(right) >= 0;

    /// <summary>Reads <c>1.2.3</c>, <c>v1.2.3-rc.1+build</c>.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out SemanticVersion version)
    {
        version = default;
        if (text is null || text.Length > 256)
            return false;
        var rest = text.AsSpan().Trim();
        if (rest.StartsWith("v"))
            rest = rest[1..];
        var plus = rest.IndexOf('+');
        if (plus >= 0)
            rest = rest[..plus];
        var dash = rest.IndexOf('-');
        var prerelease = dash < 0 ? "" : rest[(dash + 1)..].ToString();
        if (dash >= 0)
            rest = rest[..dash];
        Span<Range> parts = stackalloc Range[4];
        if (rest.Split(parts, '.') != 3
            || !TryNumber(rest[parts[0]], out var major)
            || !TryNumber(rest[parts[1]], out var minor)
            || !TryNumber(rest[parts[2]], out var patch))
        {
            return false;
        }

        version = new SemanticVersion(major, minor, patch, prerelease);
        return true;
    }

    public int CompareTo(SemanticVersion other)
    {
        var order = (Major, Minor, Patch).CompareTo((other.Major, other.Minor, other.Patch));
        if (order != 0)
            return order;
        // A prerelease comes before its release.
        return IsPrerelease && other.IsPrerelease ? ComparePrerelease(Prerelease, other.Prerelease) : other.IsPrerelease.CompareTo(IsPrerelease);
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Patch}{(IsPrerelease ? "-" + Prerelease : "")}");

    internal static bool TryNumber(ReadOnlySpan<char> text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static int ComparePrerelease(string left, string right)
    {
        var (a, b) = (left.Split('.'), right.Split('.'));
        for (var i = 0; i < Math.Min(a.Length, b.Length); i++)
        {
            var numbers = (TryNumber(a[i], out var x), TryNumber(b[i], out var y));
            var order = numbers switch
            {
                (true, true) => x.CompareTo(y),
                (true, false) => -1,
                (false, true) => 1,
                _ => string.CompareOrdinal(a[i], b[i]),
            };
            if (order != 0)
                return order;
        }

        return a.Length.CompareTo(b.Length);
    }
}

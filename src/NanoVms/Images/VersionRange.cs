using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace NanoVms.Images;

/// <summary>
/// A range of versions as npm writes it (node-semver): <c>22</c>, <c>20.11</c>, <c>^18.2</c>, <c>~1.2.3</c>,
/// <c>&gt;=18 &lt;23</c>, <c>1.2 - 2.3</c>, <c>18 || 20</c>, <c>*</c>. Prereleases satisfy only a range that is one version.
/// </summary>
public sealed partial class VersionRange
{
    private const int MaxLength = 256;

    private readonly List<List<Comparator>> _alternatives;
    private readonly string _text;

    private VersionRange(string text, List<List<Comparator>> alternatives) => (_text, _alternatives) = (text, alternatives);

    private enum Operator
    {
        Equal,
        Less,
        LessOrEqual,
        Greater,
        GreaterOrEqual,
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out VersionRange? range)
    {
        range = null;
        if (text is null || text.Length > MaxLength)
            return false;
        var alternatives = new List<List<Comparator>>();
        foreach (var part in text.Split("||"))
        {
            var comparators = new List<Comparator>();
            if (!TryAlternative(part.Trim(), comparators))
                return false;
            alternatives.Add(comparators);
        }

        range = new VersionRange(text.Trim(), alternatives);
        return true;
    }

    public bool Contains(SemanticVersion version) =>
        _alternatives.Any(alternative => alternative.TrueForAll(comparator => comparator.Admits(version)));

    /// <summary>The newest of the versions that the range contains, or null.</summary>
    public SemanticVersion? Newest(IEnumerable<SemanticVersion> versions) =>
        versions.Where(Contains).Select(version => (SemanticVersion?)version).Max();

    public override string ToString() => _text;

    private static bool TryAlternative(string text, List<Comparator> into)
    {
        if (text.Length == 0)
            text = "*";
        var hyphen = HyphenForm().Match(text);
        if (hyphen.Success)
            return TryComparator(">=", hyphen.Groups[1].Value, into) && TryComparator("<=", hyphen.Groups[2].Value, into);

        var end = 0;
        foreach (Match match in ComparatorForm().Matches(text))
        {
            if (match.Index != end || !TryComparator(match.Groups["op"].Value, match.Groups["version"].Value, into))
                return false;
            end = match.Index + match.Length;
        }

        return end == text.Length;
    }

    private static bool TryComparator(string op, string text, List<Comparator> into)
    {
        if (!Partial.TryParse(text, out var partial))
            return false;
        var low = partial.Low;
        switch (op)
        {
            case "^":
                into.Add(new Comparator(Operator.GreaterOrEqual, low));
                into.Add(new Comparator(Operator.Less, partial.NextBreaking));
                return true;
            case "~" or "~>":
                into.Add(new Comparator(Operator.GreaterOrEqual, low));
                into.Add(new Comparator(Operator.Less, partial.Parts >= 2 ? new(low.Major, low.Minor + 1, 0) : partial.Next));
                return true;
            case "" or "=" when partial.Parts == 3:
                into.Add(new Comparator(Operator.Equal, low));
                return true;
            case "" or "=":
                into.Add(new Comparator(Operator.GreaterOrEqual, low));
                into.Add(new Comparator(Operator.Less, partial.Next));
                return true;
            case ">=":
                into.Add(new Comparator(Operator.GreaterOrEqual, low));
                return true;
            case "<":
                into.Add(new Comparator(Operator.Less, low));
                return true;
            case ">":
                into.Add(partial.Parts == 3 ? new Comparator(Operator.Greater, low) : new Comparator(Operator.GreaterOrEqual, partial.Next));
                return true;
            case "<=":
                into.Add(partial.Parts == 3 ? new Comparator(Operator.LessOrEqual, low) : new Comparator(Operator.Less, partial.Next));
                return true;
            default:
                return false;
        }
    }

    [GeneratedRegex(@"^(\S+)\s+-\s+(\S+)$")]
    private static partial Regex HyphenForm();

    [GeneratedRegex(@"\s*(?<op>[<>]=?|=|\^|~>?)?\s*(?<version>v?[0-9xX*][^\s<>=^~|]*)\s*")]
    private static partial Regex ComparatorForm();

    private readonly record struct Comparator(Operator Operator, SemanticVersion Version)
    {
        public bool Admits(SemanticVersion version)
        {
            if (version.IsPrerelease)
                return Operator == Operator.Equal && version == Version;
            return Operator switch
            {
                Operator.Equal => version == Version,
                Operator.Less => version < Version,
                Operator.LessOrEqual => version <= Version,
                Operator.Greater => version > Version,
                _ => version >= Version,
            };
        }
    }

    /// <summary>A version of which the end may be missing or <c>x</c>.</summary>
    private readonly record struct Partial(SemanticVersion Low, int Parts)
    {
        private static readonly SemanticVersion Unbounded = new(int.MaxValue, 0, 0);

        /// <summary>The first version after all that the partial one stands for.</summary>
        public SemanticVersion Next => Parts switch
        {
            0 => Unbounded,
            1 => new(Low.Major + 1, 0, 0),
            2 => new(Low.Major, Low.Minor + 1, 0),
            _ => new(Low.Major, Low.Minor, Low.Patch + 1),
        };

        /// <summary>What <c>^</c> excludes: the next change of the first number that is not zero.</summary>
        public SemanticVersion NextBreaking =>
            Parts <= 1 || Low.Major > 0 ? (Parts == 0 ? Unbounded : new(Low.Major + 1, 0, 0))
            : Parts == 2 || Low.Minor > 0 ? new(0, Low.Minor + 1, 0)
            : new(0, 0, Low.Patch + 1);

        public static bool TryParse(string text, out Partial partial)
        {
            partial = default;
            if (SemanticVersion.TryParse(text, out var whole))
            {
                partial = new Partial(whole, 3);
                return whole.Major < int.MaxValue && whole.Minor < int.MaxValue && whole.Patch < int.MaxValue;
            }

            var parts = text.TrimStart('v').Split('.');
            if (parts.Length > 3)
                return false;
            Span<int> numbers = [0, 0, 0];
            var known = 0;
            var open = false;
            foreach (var part in parts)
            {
                if (part is "x" or "X" or "*")
                    open = true;
                else if (open || !SemanticVersion.TryNumber(part, out numbers[known]) || numbers[known++] == int.MaxValue)
                    return false;
            }

            partial = new Partial(new SemanticVersion(numbers[0], numbers[1], numbers[2]), known);
            return true;
        }
    }
}

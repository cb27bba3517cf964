using System.Globalization;
using System.Text.RegularExpressions;

namespace BytePort.Manifest.Toml;

/// <summary>Reads what is written without quotes: flags, numbers, dates and times.</summary>
/// <remarks>
/// The patterns are the grammar of TOML 1.0 (toml.abnf). At each character at most one way goes on, so the time is linear in the length.
/// </remarks>
internal static partial class TomlScalars
{
    public static TomlValue Read(TomlCursor cursor)
    {
        var location = cursor.Location;
        var word = cursor.TakeWhile(IsPart).ToString();
        if (cursor.Current == ' ' && char.IsAsciiDigit(cursor.Peek(1)) && IsDate().IsMatch(word))
        {
            // RFC 3339 lets a space stand between date and time.
            cursor.Skip(1);
            word = $"{word} {cursor.TakeWhile(IsPart)}";
        }

        if (word.Length == 0)
            throw cursor.Fail($"A value is missing; {cursor.Describe()} is no value.", "Write texts in quotes.");
        return word switch
        {
            "true" => new TomlBoolean(location, true),
            "false" => new TomlBoolean(location, false),
            "inf" or "+inf" => new TomlFloat(location, double.PositiveInfinity),
            "-inf" => new TomlFloat(location, double.NegativeInfinity),
            "nan" or "+nan" or "-nan" => new TomlFloat(location, double.NaN),
            _ when IsWhole().IsMatch(word) => new TomlInteger(location, ToInteger(word, location)),
            _ when HasPrefix().Match(word) is { Success: true } match => new TomlInteger(location, ToInteger(match, location)),
            _ when IsFloat().IsMatch(word) => new TomlFloat(location, ToFloat(word)),
            _ when IsDateTime().Match(word) is { Success: true } match => ToDateTime(match, location),
            _ => throw Refuse(word, location),
        };
    }

    private static bool IsPart(char character) => char.IsAsciiLetterOrDigit(character) || character is '+' or '-' or '.' or ':' or '_' || character > '\x7f';

    private static long ToInteger(string word, Location location) =>
        long.TryParse(word.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw TooLarge(word, location);

    private static long ToInteger(Match match, Location location)
    {
        var digits = match.Groups["digits"].Value.Replace("_", "", StringComparison.Ordinal).TrimStart('0');
        var bits = match.Groups["base"].ValueSpan[0] switch { 'x' => 4, 'o' => 3, _ => 1 };
        var number = 0ul;
        foreach (var digit in digits)
        {
            if (number >> (63 - bits) != 0)
                throw TooLarge(match.Value, location);
            number = (number << bits) | (uint)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }

        return (long)number;
    }

    /// <summary>The nearest double; what is larger than any of them is infinite.</summary>
    private static double ToFloat(string word) =>
        double.Parse(word.Replace("_", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture);

    private static TomlDateTime ToDateTime(Match match, Location location)
    {
        int? offset = match.Groups["offset"].ValueSpan switch
        {
            "" => null,
            "Z" or "z" => 0,
            _ => Sign(match) * ((Number("offhour", 0, 23) * 60) + Number("offminute", 0, 59)),
        };
        return new(location, match.Groups["year"].Success ? ReadDate() : null, match.Groups["hour"].Success ? ReadTime() : null, offset);

        TomlDate ReadDate()
        {
            var (year, month) = (Number("year", 0, 9999), Number("month", 1, 12));
            // Year 0 is a leap year, like 2000.
            return new(year, month, Number("day", 1, DateTime.DaysInMonth(year == 0 ? 2000 : year, month)));
        }

        TomlTime ReadTime() => new(
            Number("hour", 0, 23), Number("minute", 0, 59), Number("second", 0, 60), int.Parse(match.Groups["fraction"].Value.PadRight(9, '0')[..9], CultureInfo.InvariantCulture));

        int Number(string part, int min, int max)
        {
            var group = match.Groups[part];
            var number = int.Parse(group.ValueSpan, CultureInfo.InvariantCulture);
            if (number < min || number > max)
            {
                var place = location with { Column = location.Column + group.Index };
                throw new TomlException(place, $"\"{match.Value}\" is not a date or time: {group.Value} must be from {min:00} to {max:00}.");
            }

            return number;
        }
    }

    private static int Sign(Match match) => match.Groups["offset"].ValueSpan[0] == '-' ? -1 : 1;

    private static TomlException TooLarge(string word, Location location) =>
        new(location, $"{Shown.Of(word)} does not fit into 64 bits with a sign.", "Write it in quotes, or as a float.");

    private static TomlException Refuse(string word, Location location)
    {
        var suggestion = word.ToUpperInvariant() switch
        {
            "TRUE" => "Write true.",
            "FALSE" => "Write false.",
            _ when char.IsAsciiDigit(word[0]) || word[0] is '+' or '-' or '.' => "Look for leading zeros, underscores that are not between digits, and points without digits; a text needs quotes.",
            _ => "Write texts in quotes.",
        };
        return new TomlException(location, $"\"{Shown.Of(word)}\" is not a value.", suggestion);
    }

    [GeneratedRegex(@"\A[+-]?(?:0|[1-9](?:_?[0-9])*)\z")]
    private static partial Regex IsWhole();

    [GeneratedRegex(
        @"\A0(?:(?<base>x)(?<digits>[0-9A-Fa-f](?:_?[0-9A-Fa-f])*)|(?<base>o)(?<digits>[0-7](?:_?[0-7])*)|(?<base>b)(?<digits>[01](?:_?[01])*))\z")]
    private static partial Regex HasPrefix();

    [GeneratedRegex(@"\A[+-]?(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9](?:_?[0-9])*)?\z")]
    private static partial Regex IsFloat();

    [GeneratedRegex(@"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z")]
    private static partial Regex IsDate();

    [GeneratedRegex(
        @"\A(?:(?<year>[0-9]{4})-(?<month>[0-9]{2})-(?<day>[0-9]{2})" +
        @"(?:[Tt ](?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})(?:\.(?<fraction>[0-9]+))?" +
        @"(?<offset>[Zz]|[+-](?<offhour>[0-9]{2}):(?<offminute>[0-9]{2}))?)?" +
        @"|(?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})(?:\.(?<fraction>[0-9]+))?)\z")]
    private static partial Regex IsDateTime();
}

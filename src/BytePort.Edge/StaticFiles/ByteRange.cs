using System.Globalization;

namespace BytePort.Edge.StaticFiles;

/// <summary>Bytes of a representation, both ends included.</summary>
internal readonly record struct ByteRange(long First, long Last)
{
    public long Length => Last - First + 1;

    /// <summary>Content-Range of a part (RFC 9110 §14.4).</summary>
    public string ContentRange(long total) => string.Create(CultureInfo.InvariantCulture, $"bytes {First}-{Last}/{total}");
}

internal enum RangeOutcome
{
    /// <summary>Send everything: not a byte range, not in its grammar, or more than is sensible.</summary>
    Ignored,

    /// <summary>None of the ranges lies in the representation: 416.</summary>
    Unsatisfiable,

    /// <summary>Send the parts: 206.</summary>
    Satisfiable,
}

/// <summary>Range requests (RFC 9110 §14.1-14.2).</summary>
internal static class ByteRanges
{
    private const string Unit = "bytes=";

    /// <param name="header">The Range header's value.</param>
    /// <param name="total">Length of the representation.</param>
    /// <param name="maxRanges">A request for more is ignored, as is one whose parts add up to more than the whole: both only cost.</param>
    /// <param name="ranges">The parts that lie in the representation, in the order asked for.</param>
    public static RangeOutcome Parse(ReadOnlySpan<char> header, long total, int maxRanges, out ByteRange[] ranges)
    {
        ranges = [];
        if (!header.StartsWith(Unit, StringComparison.OrdinalIgnoreCase))
            return RangeOutcome.Ignored;
        var set = header[Unit.Length..];
        var found = new List<ByteRange>(1);
        var specs = 0;
        var sum = 0L;
        foreach (var part in set.Split(','))
        {
            var spec = set[part].Trim(" \t");
            if (spec.IsEmpty)
                continue;
            if (++specs > maxRanges || !TryParseSpec(spec, total, out var range))
                return RangeOutcome.Ignored;
            if (range is not { } inside)
                continue;
            found.Add(inside);
            sum += inside.Length;
        }

        if (specs == 0 || (found.Count > 1 && sum > total))
            return RangeOutcome.Ignored;
        if (found.Count == 0)
            return RangeOutcome.Unsatisfiable;
        ranges = [.. found];
        return RangeOutcome.Satisfiable;
    }

    /// <returns>False when it is not in the grammar; then the whole header is void.</returns>
    private static bool TryParseSpec(ReadOnlySpan<char> spec, long total, out ByteRange? range)
    {
        range = null;
        var dash = spec.IndexOf('-');
        if (dash < 0 || !TryParsePosition(spec[..dash], out var first) || !TryParsePosition(spec[(dash + 1)..], out var last))
            return false;
        switch (first, last)
        {
            case (null, null):
                return false;
            case (null, { } suffix):
                if (suffix > 0 && total > 0)
                    range = new ByteRange(Math.Max(0, total - suffix), total - 1);
                return true;
            case ({ } from, null):
                if (from < total)
                    range = new ByteRange(from, total - 1);
                return true;
            case ({ } from, { } to):
                if (to < from)
                    return false;
                if (from < total)
                    range = new ByteRange(from, Math.Min(to, total - 1));
                return true;
        }
    }

    /// <summary>Digits only. Numbers past 2^63 are legal and mean "beyond the end", so they saturate.</summary>
    private static bool TryParsePosition(ReadOnlySpan<char> digits, out long? position)
    {
        position = null;
        if (digits.IsEmpty)
            return true;
        if (digits.ContainsAnyExceptInRange('0', '9'))
            return false;
        position = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : long.MaxValue;
        return true;
    }
}

namespace BytePort.Edge.StaticFiles;

/// <summary>Content negotiation by Accept-Encoding (RFC 9110 §12.5.3).</summary>
internal static class AcceptEncoding
{
    /// <summary>A quality of 1, in thousandths: three decimals are all that the grammar allows.</summary>
    private const int Full = 1000;

    /// <summary>
    /// The index of the offered coding with the highest quality, or -1 for no coding (identity). Equals go to the earlier
    /// offer, and a coding goes before identity. Identity is the answer too when everything is refused: a page that may be
    /// unreadable helps more than none.
    /// </summary>
    /// <param name="header">The header's value; the empty string asks for identity.</param>
    /// <param name="offers">Names of codings, the preferred first.</param>
    public static int Choose(ReadOnlySpan<char> header, ReadOnlySpan<string> offers)
    {
        if (header.IsEmpty)
            return -1;
        var best = -1;
        var bestQuality = 0;
        for (var i = 0; i < offers.Length; i++)
        {
            var quality = QualityOf(header, offers[i]) ?? QualityOf(header, "*") ?? 0;
            if (quality > bestQuality)
                (best, bestQuality) = (i, quality);
        }

        // Identity is always acceptable, but preferred only by who names it with a higher quality.
        return QualityOf(header, "identity") > bestQuality ? -1 : best;
    }

    /// <summary>The quality given to a coding in thousandths; null when it is not named, or not in a form that can be read.</summary>
    internal static int? QualityOf(ReadOnlySpan<char> header, ReadOnlySpan<char> coding)
    {
        foreach (var part in header.Split(','))
        {
            var item = header[part];
            var semicolon = item.IndexOf(';');
            var name = (semicolon < 0 ? item : item[..semicolon]).Trim(" \t");
            if (!IsSame(name, coding))
                continue;
            return semicolon < 0 ? Full : ParseWeight(item[(semicolon + 1)..].Trim(" \t"));
        }

        return null;
    }

    private static bool IsSame(ReadOnlySpan<char> name, ReadOnlySpan<char> coding) =>
        name.Equals(coding, StringComparison.OrdinalIgnoreCase)
        || (coding is "gzip" && name.Equals("x-gzip", StringComparison.OrdinalIgnoreCase));

    /// <summary><c>q=0.5</c>: at most three decimals, from 0 to 1.</summary>
    private static int? ParseWeight(ReadOnlySpan<char> weight)
    {
        if (weight.Length is < 3 or > 7 || (weight[0] | 0x20) != 'q' || weight[1] != '=' || weight[2] is not ('0' or '1'))
            return null;
        var thousandths = (weight[2] - '0') * Full;
        if (weight.Length == 3)
            return thousandths;
        if (weight[3] != '.')
            return null;
        var place = Full / 10;
        foreach (var digit in weight[4..])
        {
            if (!char.IsAsciiDigit(digit))
                return null;
            thousandths += (digit - '0') * place;
            place /= 10;
        }

        return thousandths <= Full ? thousandths : null;
    }
}

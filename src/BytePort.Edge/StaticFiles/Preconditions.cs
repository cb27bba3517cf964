using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace BytePort.Edge.StaticFiles;

internal enum PreconditionOutcome
{
    /// <summary>Answer as if there were no condition.</summary>
    Proceed,

    /// <summary>304: the client has it already.</summary>
    NotModified,

    /// <summary>412: the client asked for another version.</summary>
    Failed,
}

/// <summary>Conditional GET and HEAD, in the order of RFC 9110 §13.2.2.</summary>
internal static class Preconditions
{
    /// <param name="headers">The request's.</param>
    /// <param name="etag">The selected representation's strong entity tag, with its quotes.</param>
    /// <param name="lastModified">Whole seconds; null when the site has no date: then dates decide nothing.</param>
    public static PreconditionOutcome Evaluate(IHeaderDictionary headers, string etag, DateTimeOffset? lastModified)
    {
        // 1. and 2.
        if (headers.IfMatch is { Count: > 0 } ifMatch)
        {
            if (!ContainsTag(ifMatch.ToString(), etag, weakly: false))
                return PreconditionOutcome.Failed;
        }
        else if (headers.IfUnmodifiedSince is { Count: 1 } ifUnmodified && lastModified > ParseDate(ifUnmodified.ToString()))
        {
            return PreconditionOutcome.Failed;
        }

        // 3. and 4.
        if (headers.IfNoneMatch is { Count: > 0 } ifNoneMatch)
            return ContainsTag(ifNoneMatch.ToString(), etag, weakly: true) ? PreconditionOutcome.NotModified : PreconditionOutcome.Proceed;
        if (headers.IfModifiedSince is { Count: 1 } ifModified && lastModified <= ParseDate(ifModified.ToString()))
            return PreconditionOutcome.NotModified;
        return PreconditionOutcome.Proceed;
    }

    /// <summary>
    /// Whether a Range header counts (step 5): the part that the client has is of this very version. A date is believed
    /// only when it is the same, because a later one says nothing about what the client has.
    /// </summary>
    public static bool AllowsRange(string? ifRange, string etag, DateTimeOffset? lastModified)
    {
        if (string.IsNullOrEmpty(ifRange))
            return true;
        return ifRange.StartsWith('"') || ifRange.StartsWith("W/", StringComparison.Ordinal)
            ? string.Equals(ifRange.Trim(), etag, StringComparison.Ordinal)
            : lastModified is not null && ParseDate(ifRange) == lastModified;
    }

    /// <summary>
    /// Looks for a tag in <c>"a", W/"b"</c> or <c>*</c>. A list that breaks the grammar holds no tag from there on.
    /// </summary>
    internal static bool ContainsTag(ReadOnlySpan<char> list, ReadOnlySpan<char> etag, bool weakly)
    {
        list = list.Trim(" \t");
        if (list is "*")
            return true;
        while (true)
        {
            list = list.TrimStart(" \t,");
            var weak = list.StartsWith("W/", StringComparison.Ordinal);
            var tag = weak ? list[2..] : list;
            if (tag.Length < 2 || tag[0] != '"')
                return false;
            var close = tag[1..].IndexOf('"');
            if (close < 0)
                return false;
            if ((weakly || !weak) && tag[..(close + 2)].SequenceEqual(etag))
                return true;
            list = tag[(close + 2)..].TrimStart(" \t");
            if (!list.IsEmpty && list[0] != ',')
                return false;
        }
    }

    private static DateTimeOffset? ParseDate(string value) => HeaderUtilities.TryParseDate(value, out var date) ? date : null;
}

using System.Text.RegularExpressions;

namespace BytePort.Builds.Sources;

/// <summary>Which URLs and names may reach git's command line.</summary>
internal static partial class GitUrl
{
    private const int MaxLength = 2048;

    /// <summary>A URL as people write it, the form <c>git@host:path</c> included.</summary>
    /// <exception cref="SourceException">The scheme or form is not allowed.</exception>
    public static Uri Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var scp = ScpForm().Match(text);
        if (scp.Success)
            text = $"ssh://{scp.Groups["user"].Value}@{scp.Groups["host"].Value}/{scp.Groups["path"].Value}";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url))
            throw Bad(text, "it is no absolute URL");
        Check(url);
        return url;
    }

    /// <exception cref="SourceException">The scheme or form is not allowed.</exception>
    public static void Check(Uri url)
    {
        ArgumentNullException.ThrowIfNull(url);
        if (!url.IsAbsoluteUri)
            throw Bad(url.OriginalString, "it is no absolute URL");
        var shown = Redact(url);
        // Uri lower-cases the scheme; ext::, file: and plain paths end here.
        if (url.Scheme is not ("https" or "http" or "ssh"))
            throw Bad(shown, $"the scheme '{url.Scheme}' is not allowed");
        if (url.OriginalString.Length > MaxLength)
            throw Bad(shown, $"it is longer than {MaxLength} characters");
        if (url.OriginalString.Any(c => char.IsControl(c) || char.IsWhiteSpace(c)))
            throw Bad(shown, "it holds a space or a control character");
        // A host or user that begins with a dash would be an option of ssh (CVE-2017-1000117).
        if (url.Host.Length == 0 || url.Host.StartsWith('-'))
            throw Bad(shown, "it has no proper host");
        if (Uri.UnescapeDataString(url.UserInfo).StartsWith('-') || Uri.UnescapeDataString(url.AbsolutePath).StartsWith("/-", StringComparison.Ordinal))
            throw Bad(shown, "its user or path begins with a dash");
        if (url.AbsolutePath is "" or "/")
            throw Bad(shown, "it names a host but no repository");
    }

    /// <summary>Without user name and password, query and fragment: fit for logs.</summary>
    public static string Redact(Uri url) =>
        url is { IsAbsoluteUri: true, Host.Length: > 0 } ? url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped) : url.Scheme + ":…";

    /// <summary>The names that git itself allows for branches and tags (git-check-ref-format), fewer characters.</summary>
    /// <exception cref="SourceException">Not such a name.</exception>
    public static void CheckRef(string name)
    {
        if (name.Length > 250
            || !RefForm().IsMatch(name)
            || name.Contains("..", StringComparison.Ordinal)
            || name.Contains("//", StringComparison.Ordinal)
            || name.Contains("@{", StringComparison.Ordinal)
            || name == "@"
            || name.Split('/').Any(part => part.StartsWith('.') || part.EndsWith(".lock", StringComparison.Ordinal))
            || name[^1] is '/' or '.')
        {
            throw new SourceException(SourceErrors.BadRef, $"'{EntryPath.Printable(name)}' is no name of a branch, tag or commit.");
        }
    }

    private static SourceException Bad(string url, string why) =>
        new(SourceErrors.BadUrl, $"The Git URL '{EntryPath.Printable(url)}' is refused: {why}. Use https://, http:// or ssh://.");

    [GeneratedRegex(@"^(?<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?<path>[^/\s:][^\s:]*)$")]
    private static partial Regex ScpForm();

    [GeneratedRegex(@"^[\p{L}\p{N}_@+#=%][\p{L}\p{N}_@+#=%./-]*$")]
    private static partial Regex RefForm();
}

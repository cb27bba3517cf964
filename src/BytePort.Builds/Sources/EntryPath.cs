using System.Text;

namespace BytePort.Builds.Sources;

/// <summary>Decides which names from outside may become paths, and brings them to one form.</summary>
internal static class EntryPath
{
    private const int MaxNameBytes = 255;

    /// <summary>Normal form of an entry's name: no leading <c>./</c>, no empty or <c>.</c> parts, no slash at the end; empty for the root itself.</summary>
    /// <exception cref="SourceException">The name could leave the root, or is not portable; the message quotes it.</exception>
    public static string Normalize(string name, SourceLimits limits)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (Problem(name, limits) is { } problem)
            throw new SourceException(SourceErrors.BadEntry, $"The entry '{Printable(name)}' is refused: {problem}.");
        return string.Join('/', name.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != "."));
    }

    /// <summary>A name for messages: control characters escaped, long ones cut.</summary>
    public static string Printable(string name)
    {
        var text = new StringBuilder();
        foreach (var c in name.AsSpan(0, Math.Min(name.Length, 200)))
            _ = char.IsControl(c) ? text.Append($"\\x{(int)c:x2}") : text.Append(c);
        return name.Length > 200 ? text.Append('…').ToString() : text.ToString();
    }

    private static string? Problem(string name, SourceLimits limits)
    {
        if (name.Length == 0)
            return "its name is empty";
        if (name.Contains('\uFFFD', StringComparison.Ordinal))
            return "its name is not valid UTF-8";
        foreach (var c in name)
        {
            if (c == '\0')
                return "its name holds a NUL character";
            if (char.IsControl(c))
                return "its name holds a control character";
            if (c == '\\')
                return "its name holds a backslash";
        }

        if (name[0] == '/')
            return "it is an absolute path";
        if (name.Length >= 2 && name[1] == ':' && char.IsAsciiLetter(name[0]))
            return "it begins with a drive letter";
        if (Encoding.UTF8.GetByteCount(name) > limits.MaxPathBytes)
            return $"its path is longer than {limits.MaxPathBytes} bytes";

        var parts = name.Split('/');
        if (parts.Contains(".."))
            return "it leaves the folder by '..'";
        if (parts.Length > limits.MaxDepth)
            return $"it lies deeper than {limits.MaxDepth} folders";
        return parts.Any(part => Encoding.UTF8.GetByteCount(part) > MaxNameBytes)
            ? $"a name in it is longer than {MaxNameBytes} bytes"
            : null;
    }
}

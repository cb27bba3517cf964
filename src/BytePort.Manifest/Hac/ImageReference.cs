using System.Text.RegularExpressions;

namespace BytePort.Manifest.Hac;

/// <summary>Names the root of a machine: one of the platform's stacks, or an image of an OCI registry.</summary>
/// <remarks>
/// A word with or without <c>@version</c> is a stack; whatever has a tag, a digest or a slash is an image. So <c>node@22</c> never goes
/// to a registry and <c>node:22</c> always does.
/// </remarks>
/// <param name="Text">As it was written.</param>
/// <param name="IsStack">True for a stack such as <c>node@22</c>, false for an image such as <c>docker.io/library/alpine:3.20</c>.</param>
public sealed partial record ImageReference(string Text, bool IsStack)
{
    private const int MaxLength = 500;

    /// <returns>Null when the text is neither a stack nor an image.</returns>
    public static ImageReference? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > MaxLength)
            return null;
        if (Stack().IsMatch(text))
            return new(text, true);
        return Image().IsMatch(text) ? new(text, false) : null;
    }

    public override string ToString() => Text;

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{0,38}(?:@[0-9]+(?:\.[0-9]+){0,3})?\z")]
    private static partial Regex Stack();

    /// <summary>The grammar of distribution/reference: registry and port, path, then a tag, a digest or both. A port alone is no tag.</summary>
    [GeneratedRegex(
        @"\A(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?/)?" +
        @"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*" +
        @"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\z",
        RegexOptions.NonBacktracking)]
    private static partial Regex Image();
}

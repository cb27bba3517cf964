using System.Collections.Immutable;
using System.Globalization;
using BytePort.Builds.Blobs;

namespace BytePort.Builds.Sites;

/// <summary>
/// The compressed forms of a blob, remembered as a note on it: one line each, <c>coding digest size</c>. An empty note
/// says that none is worth it.
/// </summary>
internal static class Encodings
{
    public static IReadOnlyDictionary<string, Blob> None { get; } = ImmutableSortedDictionary<string, Blob>.Empty;

    public static string Format(IReadOnlyDictionary<string, Blob> encodings) =>
        string.Concat(encodings.Select(e => string.Create(CultureInfo.InvariantCulture, $"{e.Key} {e.Value.Digest} {e.Value.Size}\n")));

    /// <summary>Null when nothing is known, the note is damaged, or a form it names is no longer stored.</summary>
    public static IReadOnlyDictionary<string, Blob>? Parse(string? note, BlobStore blobs)
    {
        if (note is null)
            return null;
        var encodings = new SortedDictionary<string, Blob>(StringComparer.Ordinal);
        foreach (var line in note.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ');
            if (parts.Length != 3
                || parts[0] is not ("br" or "gzip")
                || !Digests.IsValid(parts[1])
                || !long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var size)
                || !blobs.Touch(parts[1]))
            {
                return null;
            }

            encodings[parts[0]] = new Blob(parts[1], size);
        }

        return encodings;
    }
}

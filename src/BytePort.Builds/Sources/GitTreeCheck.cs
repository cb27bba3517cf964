using System.Globalization;
using BytePort.Builds.Logs;

namespace BytePort.Builds.Sources;

/// <summary>Checks the lines of <c>git ls-tree -r -l</c>, <c>mode type id size TAB path</c>, before anything is checked out.</summary>
internal sealed class GitTreeCheck(SourceLimits limits, BuildLog log)
{
    private int _files;
    private long _bytes;

    /// <exception cref="SourceException">An entry is refused or a limit is passed.</exception>
    public void Add(string line)
    {
        var tab = line.IndexOf('\t', StringComparison.Ordinal);
        var fields = tab < 0 ? [] : line[..tab].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 4)
            throw new SourceException(SourceErrors.GitFailed, $"git listed a file in an unknown form: '{EntryPath.Printable(line)}'.");

        var path = Unquote(line[(tab + 1)..]);
        _ = EntryPath.Normalize(path, limits);
        if (path.Split('/').Any(part => part.Equals(".git", StringComparison.OrdinalIgnoreCase)))
            throw new SourceException(SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(path)}' is refused: it would be a repository's own data.");
        if (++_files > limits.MaxFiles)
            throw new SourceException(SourceErrors.TooManyFiles, $"The repository has more than {limits.MaxFiles:N0} files. Deploy a part of it, or leave out what is not source.");

        switch (fields[0])
        {
            case "160000":
                log.Write($"The submodule '{path}' is not fetched: its folder stays empty.");
                return;
            case "100644" or "100755" or "100664" or "120000":
                break;
            default:
                throw new SourceException(SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(path)}' is refused: its mode {fields[0]} is unknown.");
        }

        if (!long.TryParse(fields[3], NumberStyles.None, CultureInfo.InvariantCulture, out var size))
            throw new SourceException(SourceErrors.GitFailed, $"git gave no size for '{EntryPath.Printable(path)}'.");
        _bytes += size;
        if (_bytes > limits.MaxBytes)
            throw new SourceException(SourceErrors.TooLarge, $"The repository's files are larger than {limits.MaxBytes / 1024 / 1024:N0} MiB (the limit was passed at '{EntryPath.Printable(path)}').");
    }

    /// <summary>Git quotes names with control characters, backslashes (both are refused anyway) and double quotes.</summary>
    private static string Unquote(string path) =>
        path.Length >= 2 && path[0] == '"' && path[^1] == '"' ? path[1..^1].Replace("\\\"", "\"", StringComparison.Ordinal) : path;
}

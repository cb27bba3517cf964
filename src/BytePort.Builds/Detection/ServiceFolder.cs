using System.Text;

namespace BytePort.Builds.Detection;

/// <summary>What the detectors may ask about a service's folder. Files come from outside: large ones are not read.</summary>
internal sealed class ServiceFolder(string folder)
{
    private const int MaxText = 1024 * 1024;

    public bool Has(string name) => File.Exists(Path.Combine(folder, name));

    public string? FirstOf(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (Has(name))
                return name;
        return null;
    }

    public IEnumerable<string> Names() => Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    /// <summary>The text of a file of at most 1 MiB, or null.</summary>
    public string? Read(string name)
    {
        var file = new FileInfo(Path.Combine(folder, name));
        if (!file.Exists || file.Length > MaxText)
            return null;
        // The length of a link is not that of its target: the limit holds for what is read.
        using var stream = file.OpenRead();
        var buffer = new byte[MaxText];
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return Encoding.UTF8.GetString(buffer.AsSpan(0, length).TrimStart("\ufeff"u8));
    }
}

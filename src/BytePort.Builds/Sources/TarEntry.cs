namespace BytePort.Builds.Sources;

/// <summary>One entry of a tar archive. The content must be read before the next entry.</summary>
/// <param name="Link">Target of a link, else empty.</param>
internal sealed record TarEntry(string Name, TarEntryKind Kind, bool Executable, string Link, TarContent Content);

internal enum TarEntryKind
{
    Other = 0,
    File,
    Folder,
    Link,
    HardLink,
}

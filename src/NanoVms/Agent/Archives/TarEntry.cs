namespace NanoVms.Agent.Archives;

/// <summary>The head of one entry.</summary>
/// <param name="Path">
/// Its bytes, one a character (Latin-1): names of Linux are any bytes, and this loses none. As it is in the archive: it may be
/// absolute, hold <c>..</c> and end in a slash.
/// </param>
/// <param name="Size">Bytes of data that follow; 0 unless it is a file.</param>
/// <param name="Mode">The lower 12 bits of st_mode.</param>
/// <param name="Modified">Seconds since 1970.</param>
/// <param name="Link">What a link points to, as <paramref name="Path"/>; empty otherwise.</param>
internal sealed record TarEntry(TarKind Kind, string Path, long Size, uint Mode, uint User, uint Group, long Modified, string Link = "");

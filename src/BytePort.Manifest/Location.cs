namespace BytePort.Manifest;

/// <summary>A place in a text, both from 1; columns count UTF-16 code units, as editors do.</summary>
internal readonly record struct Location(int Line, int Column);

namespace NanoVms.Agent.Archives;

/// <summary>What an entry of an archive is.</summary>
internal enum TarKind
{
    File,
    Directory,
    SymbolicLink,
    HardLink,

    /// <summary>A device, a pipe and whatever else.</summary>
    Other,
}

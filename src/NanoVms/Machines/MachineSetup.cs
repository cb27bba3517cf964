namespace NanoVms.Machines;

/// <summary>What a machine is given once, after its guest is up and before its main process starts. Not kept with the machine.</summary>
public sealed record MachineSetup
{
    /// <summary>Laid over the guest's root in this order.</summary>
    public IReadOnlyList<SetupFolder> Folders { get; init; } = [];

    /// <summary>Run to their ends one after the other; one that fails fails the start. At most 16.</summary>
    public IReadOnlyList<HookSpec> OnBoot { get; init; } = [];

    /// <summary>Told what the guest writes to its console while it starts, from its first byte on. Must not block.</summary>
    public Action<ConsoleChunk>? OnConsole { get; init; }
}

/// <summary>A folder of this computer whose files are laid into a folder of the guest, owned by its root.</summary>
/// <param name="HostPath">Absolute. Links in it are copied as links.</param>
/// <param name="GuestPath">Absolute; made when it is missing.</param>
/// <param name="Modes">
/// Permission bits by path below the folder, for files and folders. Other files keep the bits they have here; a folder that is not named
/// stays as it is in the guest, or is made with 755.
/// </param>
public sealed record SetupFolder(string HostPath, string GuestPath, IReadOnlyDictionary<string, UnixFileMode> Modes);

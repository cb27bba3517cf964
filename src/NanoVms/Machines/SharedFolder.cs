using NanoVms.Agent.Copies;

namespace NanoVms.Machines;

/// <summary>A folder on the host that is replaced as a whole, in two renames: a crash between them is mended by the next use.</summary>
internal static class SharedFolder
{
    private const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Makes it when it is missing, and takes away what an interrupted replacement left.</summary>
    public static void Prepare(string path)
    {
        var (aside, old) = (path + ".new", path + ".old");
        if (!Directory.Exists(path) && Directory.Exists(old))
            Directory.Move(old, path);
        foreach (var leftover in (string[])[aside, old])
        {
            if (Directory.Exists(leftover))
                Directory.Delete(leftover, recursive: true);
        }

        if (!Directory.Exists(path))
            _ = Directory.CreateDirectory(path, Own);
    }

    /// <summary>Takes the guest's copy back.</summary>
    /// <exception cref="MachineException">The guest sends more than it may, or something else; the folder is as before.</exception>
    public static async Task TakeBackAsync(GuestFiles files, SharedFolderSpec shared, CancellationToken cancellationToken)
    {
        var (aside, old) = (shared.HostPath + ".new", shared.HostPath + ".old");
        Prepare(shared.HostPath);
        try
        {
            _ = await files.CopyOutAsync(shared.GuestPath, aside, shared.Limits, cancellationToken);
            if (!Directory.Exists(aside))
                throw new MachineException($"The guest has no folder {shared.GuestPath} any more.");
            Directory.Move(shared.HostPath, old);
            Directory.Move(aside, shared.HostPath);
        }
        finally
        {
            if (File.Exists(aside))
                File.Delete(aside);
            Prepare(shared.HostPath);
        }
    }
}

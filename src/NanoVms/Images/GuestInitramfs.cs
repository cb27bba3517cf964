using System.Security.Cryptography;

namespace NanoVms.Images;

/// <summary>The archive a guest starts from: the agent as <c>/init</c> and the kernel's modules.</summary>
public static class GuestInitramfs
{
    /// <summary>Makes the archive of this agent and kernel in the folder, unless it is there, and returns its path.</summary>
    /// <remarks>Not compressed: the few MB cost the guest less to copy than to unpack.</remarks>
    public static async Task<string> PrepareAsync(
        string folder, GuestKernel kernel, string agentPath, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        var archive = await BuildAsync(kernel, agentPath, cancellationToken);
        var home = Path.Combine(folder, "initramfs");
        var path = Path.Combine(home, Convert.ToHexStringLower(SHA256.HashData(archive))[..32] + ".cpio");
        if (File.Exists(path))
            return path;
        progress?.Report("Packing the guest's initramfs");
        Directory.CreateDirectory(home);
        var aside = Path.Combine(home, $".new-{Guid.NewGuid():N}");
        try
        {
            await using (var file = new FileStream(aside, FileMode.CreateNew))
            {
                await file.WriteAsync(archive, cancellationToken);
                file.Flush(flushToDisk: true);
            }

            File.Move(aside, path, overwrite: true);
        }
        finally
        {
            File.Delete(aside);
        }

        return path;
    }

    private static async Task<byte[]> BuildAsync(GuestKernel kernel, string agentPath, CancellationToken cancellationToken)
    {
        var archive = new GuestInitramfsArchive();
        archive.AddDirectory("dev");
        archive.AddDevice("dev/console", 5, 1);
        archive.AddDevice("dev/null", 1, 3);
        archive.AddFile("init", await ReadAgentAsync(agentPath, cancellationToken), executable: true);
        archive.AddDirectory("modules");
        foreach (var file in Directory.EnumerateFiles(kernel.ModulesDirectory).Order(StringComparer.Ordinal))
            archive.AddFile("modules/" + Path.GetFileName(file), await File.ReadAllBytesAsync(file, cancellationToken), executable: false);
        return archive.Finish();
    }

    private static async Task<byte[]> ReadAgentAsync(string path, CancellationToken cancellationToken)
    {
        byte[] bytes;
        try
        {
            bytes = await File.ReadAllBytesAsync(path, cancellationToken);
        }
        catch (IOException failure)
        {
            throw new ImageException($"The guest agent {path} cannot be read: {failure.Message} Publish src/NanoVms.Agent, or pass the right path.", failure);
        }

        return bytes.AsSpan().StartsWith("\u007fELF"u8)
            ? bytes
            : throw new ImageException($"The guest agent {path} is no Linux program.");
    }
}

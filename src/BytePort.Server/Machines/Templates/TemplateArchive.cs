using System.Formats.Tar;
using System.IO.Compression;
using BytePort.Manifest.Hac;

namespace BytePort.Server.Machines.Templates;

/// <summary>A template as one archive that can be pushed again.</summary>
internal static class TemplateArchive
{
    public static async Task WriteAsync(TemplateLease lease, Stream stream, CancellationToken cancellationToken)
    {
        await using var compressed = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true);
        await using var writer = new TarWriter(compressed, TarEntryFormat.Pax, leaveOpen: true);
        var content = lease.Content;
        await WriteAsync(writer, new FileInfo(Path.Combine(content.Folder, HacFile.FileName)), HacFile.FileName, cancellationToken);
        foreach (var (path, name) in new[] { (content.ConfigPath, TemplateContent.Config), (content.ScriptsPath, TemplateContent.ScriptsFolder), (lease.Data, TemplateContent.Data) })
        {
            if (Directory.Exists(path))
                await WriteAsync(writer, new DirectoryInfo(path), name, cancellationToken);
        }
    }

    /// <summary>What lies below a link is not the template's.</summary>
    private static async Task WriteAsync(TarWriter writer, FileSystemInfo info, string name, CancellationToken cancellationToken)
    {
        await writer.WriteEntryAsync(info.FullName, name, cancellationToken);
        if (info is not DirectoryInfo { LinkTarget: null } folder)
            return;
        foreach (var child in folder.EnumerateFileSystemInfos().OrderBy(child => child.Name, StringComparer.Ordinal))
            await WriteAsync(writer, child, $"{name}/{child.Name}", cancellationToken);
    }
}

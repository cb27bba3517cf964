using System.IO.Compression;
using System.Text;
using BytePort.Builds.Logs;

namespace BytePort.Builds.Sources;

/// <summary>Unpacks zip, tar.gz and tar into a folder, trusting nothing in them.</summary>
internal static class ArchiveExtractor
{
    private const int TypeMask = 0xF000;
    private const int RegularType = 0x8000;
    private const int FolderType = 0x4000;
    private const int LinkType = 0xA000;

    /// <summary>Unpacks an archive whose kind its first bytes tell. The folder must exist and be empty.</summary>
    /// <exception cref="SourceException">Refused; what was written so far is the caller's to remove.</exception>
    public static async Task ExtractAsync(string archive, string folder, TreeRules rules, BuildLog log, CancellationToken cancellationToken)
    {
        var writer = new TreeWriter(folder, rules);
        await using var file = new FileStream(archive, FileMode.Open, FileAccess.Read, FileShare.Read, 64 * 1024);
        var magic = new byte[512];
        var read = file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
        file.Position = 0;
        var start = magic.AsSpan(0, read);
        try
        {
            if (start.StartsWith("PK\u0003\u0004"u8) || start.StartsWith("PK\u0005\u0006"u8))
                await ExtractZipAsync(file, writer, rules.Limits, log, cancellationToken);
            else if (start.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]))
                await ExtractTarAsync(new GZipStream(file, CompressionMode.Decompress), writer, rules.Limits, log, cancellationToken);
            else if (read > 262 && start[257..].StartsWith("ustar"u8))
                await ExtractTarAsync(file, writer, rules.Limits, log, cancellationToken);
            else
                throw new SourceException(SourceErrors.BadArchive, "The file is neither a zip nor a tar.gz archive. Pack the project as one of them.");
            writer.Complete();
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new SourceException(SourceErrors.BadArchive, $"The archive is damaged: {e.Message}", e);
        }

        if (writer.Count == 0)
            throw new SourceException(SourceErrors.Empty, "The archive is empty.");
    }

    /// <summary>Unpacks an uncompressed tar stream.</summary>
    /// <exception cref="SourceException">Refused; what was written so far is the caller's to remove.</exception>
    public static async Task ExtractTarAsync(
        Stream tar, TreeWriter writer, SourceLimits limits, BuildLog log, CancellationToken cancellationToken)
    {
        // Headers, padding and entries that are skipped are no file content, but must not be endless either.
        var most = limits.MaxBytes + (limits.MaxFiles * 2048L) + (64L << 20);
        var parser = new TarParser(new LimitedStream(tar, most, () => new SourceException(
            SourceErrors.TooLarge, $"The archive is larger than {limits.MaxBytes / 1024 / 1024:N0} MiB unpacked.")));
        while (await parser.ReadAsync(cancellationToken) is { } entry)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (IsLitter(entry.Name, log))
                continue;
            switch (entry.Kind)
            {
                case TarEntryKind.File:
                    await writer.AddFileAsync(entry.Name, entry.Executable, entry.Content, cancellationToken);
                    break;
                case TarEntryKind.Folder:
                    writer.AddFolder(entry.Name);
                    break;
                case TarEntryKind.Link:
                    writer.AddLink(entry.Name, entry.Link);
                    break;
                case TarEntryKind.HardLink:
                    await writer.AddHardLinkAsync(entry.Name, entry.Link, cancellationToken);
                    break;
                default:
                    throw new SourceException(
                        SourceErrors.BadEntry,
                        $"The entry '{EntryPath.Printable(entry.Name)}' is refused: it is no file, folder or link (a device, a pipe or a sparse file).");
            }
        }
    }

    private static async Task ExtractZipAsync(
        FileStream file, TreeWriter writer, SourceLimits limits, BuildLog log, CancellationToken cancellationToken)
    {
        if (ZipDirectory.CountEntries(file, limits.MaxFiles) > limits.MaxFiles)
            throw new SourceException(
                SourceErrors.TooManyFiles,
                $"The archive has more than {limits.MaxFiles:N0} entries. Leave out what is not source, such as node_modules.");

        file.Position = 0;
        await using var zip = await ZipArchive.CreateAsync(file, ZipArchiveMode.Read, leaveOpen: true, null, cancellationToken);
        foreach (var entry in zip.Entries)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!IsLitter(entry.FullName, log))
                await ExtractZipEntryAsync(entry, writer, limits, cancellationToken);
        }
    }

    private static async Task ExtractZipEntryAsync(
        ZipArchiveEntry entry, TreeWriter writer, SourceLimits limits, CancellationToken cancellationToken)
    {
        var name = entry.FullName;
        if (entry.IsEncrypted)
            throw new SourceException(SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(name)}' is encrypted. Pack the project without a password.");

        // The upper half of the attributes is the Unix mode where the packer knew one.
        var mode = entry.ExternalAttributes >>> 16;
        var type = mode & TypeMask;
        if (type is not (0 or RegularType or FolderType or LinkType))
            throw new SourceException(
                SourceErrors.BadEntry, $"The entry '{EntryPath.Printable(name)}' is refused: it is no file, folder or link (a device or a pipe).");
        if (name.EndsWith('/') || type == FolderType)
        {
            writer.AddFolder(name);
            return;
        }

        await using var inflated = await entry.OpenAsync(cancellationToken);
        await using var content = new Crc32Stream(inflated, entry.Crc32, () => new SourceException(
            SourceErrors.BadArchive, $"The zip archive is damaged: the check sum of '{EntryPath.Printable(name)}' is wrong."));
        if (type != LinkType)
        {
            await writer.AddFileAsync(name, (mode & 0b001_001_001) != 0, content, cancellationToken);
            return;
        }

        var target = new byte[limits.MaxPathBytes + 1];
        var length = await content.ReadAtLeastAsync(target, target.Length, throwOnEndOfStream: false, cancellationToken);
        writer.AddLink(name, Encoding.UTF8.GetString(target, 0, length));
    }

    /// <summary>What desktop systems and version control add by themselves, and nobody means to deploy.</summary>
    private static bool IsLitter(string name, BuildLog log)
    {
        var path = name.StartsWith("./", StringComparison.Ordinal) ? name.AsSpan(2) : name;
        var last = path.TrimEnd('/');
        last = last[(last.LastIndexOf('/') + 1)..];
        if (path.StartsWith("__MACOSX/") || last is ".DS_Store")
            return true;
        var isRepository = last is ".git" || path.StartsWith(".git/") || path.IndexOf("/.git/") >= 0;
        if (isRepository && last is ".git")
            log.Write($"'{EntryPath.Printable(name)}' is left out: a repository's own data is not source.");
        return isRepository;
    }
}

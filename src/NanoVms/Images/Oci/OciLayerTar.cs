using System.ComponentModel;
using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NanoVms.Commands;

namespace NanoVms.Images.Oci;

/// <summary>
/// Unpacks one layer of an image into an empty folder, as overlayfs wants it: what the layer deletes becomes a device 0/0, a folder
/// that hides what lies below gets a mark (OCI image specification 1.0, layer.md; the kernel's overlayfs.rst).
/// </summary>
/// <remarks>
/// Steps: 1 decompress, with an eye on the size, and compare the digest that the image's configuration promises; 2 read every entry's
/// name and kind; 3 let tar unpack, which knows owners, links, devices and extended attributes; 4 make the marks. A layer is written by
/// strangers, and tar runs as root: nothing may come to lie outside of the folder.
/// </remarks>
/// <param name="diffId">The digest of its content; null when the file itself was verified.</param>
internal sealed partial class OciLayerTar(string blob, string? diffId, long maxBytes)
{
    private const int MaxEntries = 1_000_000;
    private const string WhiteoutPrefix = ".wh.";
    private const string Opaque = ".wh..wh..opq";
    private const uint CharacterDevice = 0x2000;
    private static readonly byte[] Zstandard = [0x28, 0xb5, 0x2f, 0xfd];
    private static readonly byte[] Gzip = [0x1f, 0x8b];
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    private readonly List<string> _whiteouts = [];

    /// <param name="folder">Empty. Beside it a decompressed copy lies for a while.</param>
    /// <returns>Bytes of the layer, decompressed.</returns>
    /// <exception cref="ImageException">The layer is damaged, too large, or would write outside of the folder.</exception>
    public async Task<long> UnpackAsync(string folder, CancellationToken cancellationToken)
    {
        var tar = folder + ".tar";
        try
        {
            // 1
            var length = await DecompressAsync(tar, cancellationToken);
            // 2
            await ReadEntriesAsync(tar, cancellationToken);
            // 3
            await CommandRunner.RunCheckedAsync(
                new Command(
                    "tar", "--extract", $"--file={tar}", $"--directory={folder}", "--numeric-owner", "--same-owner", "--same-permissions",
                    "--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--exclude=.wh.*", "--anchored", "--no-wildcards-match-slash")
                { Timeout = Limit },
                cancellationToken);
            // 4
            foreach (var path in _whiteouts)
                Mark(folder, path);
            return length;
        }
        catch (CommandException e)
        {
            throw new ImageException($"{What} cannot be unpacked: {e.Message}", e);
        }
        finally
        {
            File.Delete(tar);
        }
    }

    private async Task<long> DecompressAsync(string tar, CancellationToken cancellationToken)
    {
        var magic = new byte[4];
        await using (var file = File.OpenRead(blob))
            _ = await file.ReadAtLeastAsync(magic, magic.Length, throwOnEndOfStream: false, cancellationToken);
        if (magic.AsSpan().SequenceEqual(Zstandard))
        {
            await CommandRunner.RunCheckedAsync(
                new Command("prlimit", $"--fsize={maxBytes}", "--", ProgramLocator.Require("zstd"), "--decompress", "--quiet", "-o", tar, "--", blob) { Timeout = Limit }, cancellationToken);
            await using var unpacked = File.OpenRead(tar);
            Compare(await SHA256.HashDataAsync(unpacked, cancellationToken));
            return unpacked.Length;
        }

        await using var source = File.OpenRead(blob);
        await using Stream plain = magic.AsSpan(0, 2).SequenceEqual(Gzip) ? new GZipStream(source, CompressionMode.Decompress) : source;
        await using var target = new FileStream(tar, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        try
        {
            for (int count; (count = await plain.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                if (target.Length + count > maxBytes)
                    throw new ImageException($"The image is too large: more than {maxBytes >> 20} MiB when unpacked. Raise the limit or use a smaller image.");
                hash.AppendData(buffer.AsSpan(0, count));
                await target.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            }
        }
        catch (InvalidDataException e)
        {
            throw new ImageException($"{What} is damaged: {e.Message}", e);
        }

        Compare(hash.GetHashAndReset());
        return target.Length;
    }

    private string What => diffId is null ? "The archive" : $"Layer {diffId}";

    private void Compare(byte[] hash)
    {
        if (diffId is not null && $"sha256:{Convert.ToHexStringLower(hash)}" != diffId)
            throw new ImageException($"{What} is not what the image's configuration says: its content has another digest.");
    }

    private async Task ReadEntriesAsync(string tar, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(tar);
        await using var reader = new TarReader(file);
        var entries = 0;
        try
        {
            while (await reader.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
            {
                if (++entries > MaxEntries)
                    throw new ImageException($"{What} has more than {MaxEntries:N0} entries.");
                CheckName(entry.Name);
                if (entry.EntryType is TarEntryType.HardLink)
                    CheckName(entry.LinkName);
                if (Path.GetFileName(entry.Name.TrimEnd('/')).StartsWith(WhiteoutPrefix, StringComparison.Ordinal))
                    _whiteouts.Add(entry.Name.Trim('/'));
            }
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or EndOfStreamException or ArgumentException)
        {
            throw new ImageException($"{What} is no tar archive: {e.Message}", e);
        }
    }

    private void CheckName(string name)
    {
        if (name.Length == 0 || name.Contains('\0', StringComparison.Ordinal) || name.Split('/').Contains(".."))
            throw new ImageException($"{What} has the entry '{name.ReplaceLineEndings(" ")}', which would lie outside of the image.");
    }

    private void Mark(string folder, string path)
    {
        var parent = folder;
        foreach (var part in path.Split('/')[..^1].Where(part => part is not ("" or ".")))
        {
            parent = Path.Combine(parent, part);
            var found = new FileInfo(parent);
            if (found.LinkTarget is not null || found.Exists)
                throw new ImageException($"{What} deletes '{path}', whose folder is a link or a file in the same layer.");
            _ = Directory.CreateDirectory(parent);
        }

        var name = Path.GetFileName(path);
        if (name == Opaque)
        {
            if (SetAttribute(parent, "trusted.overlay.opaque", "y"u8.ToArray(), 1, 0) != 0)
                throw Failed("setxattr", parent);
            return;
        }

        var hidden = Path.Combine(parent, name[WhiteoutPrefix.Length..]);
        // A layer that deletes a name and has it anew keeps what is new.
        if (name.Length > WhiteoutPrefix.Length && !Path.Exists(hidden) && new FileInfo(hidden).LinkTarget is null
            && MakeNode(hidden, CharacterDevice, 0) != 0)
            throw Failed("mknod", hidden);
    }

    private static IOException Failed(string call, string path) => new($"{call} of '{path}' failed: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");

    /// <summary>mknod(2): 0, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "mknod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeNode(string path, uint mode, ulong device);

    /// <summary>lsetxattr(2): 0, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetAttribute(string path, string name, byte[] value, nuint size, int flags);
}

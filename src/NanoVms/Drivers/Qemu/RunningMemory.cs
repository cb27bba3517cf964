using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;
using NanoVms.Snapshots;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// The memory of a halted guest. One that was booted has it in a file; one that was started from a snapshot has the snapshot's, which it
/// shares with others, and of its own what it has written since (proc(5): <c>maps</c>, <c>pagemap</c>, <c>mem</c>).
/// </summary>
internal sealed class RunningMemory : ISparseSource, IDisposable
{
    private const int PageBytes = 4096;
    private const int EntryBytes = 8;

    // Bits 63 and 62 of an entry: in memory, or swapped out.
    private const ulong HasPage = 3UL << 62;

    private readonly SafeFileHandle _file;
    private readonly SafeFileHandle? _process;
    private readonly List<Mapping> _mappings;
    private readonly SparseSource _source;
    private readonly BitArray _touched = new(0);

    private RunningMemory(SafeFileHandle file, string folder, List<Mapping> mappings)
    {
        _file = file;
        _mappings = mappings;
        _source = new SparseSource(file);
        if (mappings.Count == 0)
            return;
        _process = File.OpenHandle($"{folder}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        try
        {
            _touched = FindTouched($"{folder}/pagemap", mappings, _source.Length);
        }
        catch
        {
            _process.Dispose();
            throw;
        }
    }

    public long Length => _source.Length;

    /// <exception cref="HypervisorException">The process has no such memory, or is gone.</exception>
    public static RunningMemory Open(ProcessIdentity process)
    {
        var folder = FolderOf(process);
        try
        {
            var path = Directory.EnumerateFiles(folder + "/fd").FirstOrDefault(IsMemory)
                ?? throw new HypervisorException("The hypervisor was started without a memory file, so it cannot be snapshotted: start the machine anew.");
            var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            try
            {
                return new RunningMemory(file, folder, ReadMappings(folder));
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HypervisorException($"The guest's memory cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Whether a guest was started from a snapshot, so that it has a part of its memory in common with others.</summary>
    public static bool IsOfSnapshot(ProcessIdentity process)
    {
        try
        {
            return ReadMappings(FolderOf(process)).Count > 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HypervisorException($"The guest's memory cannot be read: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public long NextData(long offset)
    {
        var saved = _source.NextData(offset);
        for (var granule = offset / SparseSource.Granule; granule < _touched.Count && granule * SparseSource.Granule < saved; granule++)
        {
            if (_touched[(int)granule])
                return granule * SparseSource.Granule;
        }

        return saved;
    }

    /// <inheritdoc/>
    public void Read(Span<byte> buffer, long offset)
    {
        if (_process is null || !_touched[(int)(offset / SparseSource.Granule)])
        {
            _source.Read(buffer, offset);
            return;
        }

        while (buffer.Length > 0)
        {
            var mapping = _mappings.Find(m => m.Offset <= offset && offset < m.Offset + m.Length);
            var wanted = (int)Math.Min(buffer.Length, mapping.Offset + mapping.Length - offset);
            var read = wanted <= 0 ? 0 : RandomAccess.Read(_process, buffer[..wanted], mapping.Start + offset - mapping.Offset);
            if (read == 0)
                throw new EndOfStreamException("The guest's memory went away while it was read.");
            buffer = buffer[read..];
            offset += read;
        }
    }

    public void Dispose()
    {
        _process?.Dispose();
        _source.Dispose();
        _file.Dispose();
    }

    private static string FolderOf(ProcessIdentity process) => $"/proc/{process.Id.ToString(CultureInfo.InvariantCulture)}";

    private static bool IsMemory(string path) =>
        new FileInfo(path).LinkTarget?.StartsWith($"/memfd:{QemuMemory.FileName}", StringComparison.Ordinal) == true;

    /// <summary>Private ones: what is written to them is not in the file.</summary>
    private static List<Mapping> ReadMappings(string folder)
    {
        var mappings = new List<Mapping>();
        foreach (var line in File.ReadLines(folder + "/maps"))
        {
            // start-end permissions offset device inode path
            if (!line.Contains($"/memfd:{QemuMemory.FileName}", StringComparison.Ordinal))
                continue;
            var words = line.Split(' ', 4);
            if (words[1].Length < 4 || words[1][3] != 'p')
                continue;
            var dash = words[0].IndexOf('-', StringComparison.Ordinal);
            var start = long.Parse(words[0].AsSpan(0, dash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            var end = long.Parse(words[0].AsSpan(dash + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            mappings.Add(new Mapping(start, end - start, long.Parse(words[2], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)));
        }

        return mappings;
    }

    private static BitArray FindTouched(string path, List<Mapping> mappings, long length)
    {
        var touched = new BitArray((int)((length + SparseSource.Granule - 1) / SparseSource.Granule));
        using var pages = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var buffer = new byte[64 << 10];
        foreach (var mapping in mappings)
        {
            for (long page = 0, count; page < mapping.Length / PageBytes; page += count)
            {
                var wanted = (int)Math.Min(buffer.Length, ((mapping.Length / PageBytes) - page) * EntryBytes);
                count = RandomAccess.Read(pages, buffer.AsSpan(0, wanted), ((mapping.Start / PageBytes) + page) * EntryBytes) / EntryBytes;
                if (count == 0)
                    throw new EndOfStreamException("The guest's memory went away while it was read.");
                var entries = MemoryMarshal.Cast<byte, ulong>(buffer.AsSpan(0, (int)count * EntryBytes));
                for (var i = 0; i < entries.Length; i++)
                {
                    if ((entries[i] & HasPage) != 0)
                        touched[(int)((mapping.Offset + ((page + i) * PageBytes)) / SparseSource.Granule)] = true;
                }
            }
        }

        return touched;
    }

    /// <param name="Start">In the process.</param>
    /// <param name="Offset">In the file.</param>
    private readonly record struct Mapping(long Start, long Length, long Offset);
}

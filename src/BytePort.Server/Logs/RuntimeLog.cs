using System.Buffers;
using System.Globalization;
using System.Text.Json;
using BytePort.Server.Database;
using BytePort.Server.Hosting;

namespace BytePort.Server.Logs;

/// <summary>What the services of a project wrote: kept in segment files of about 1 MiB, the oldest removed past the limit.</summary>
/// <remarks>
/// A segment is named by the offset of its first byte in the whole log; a line's offset is where the line ENDS, so that a reader that
/// has seen offset N asks for what follows N. Each line carries how far into its machine's output it reaches: that is where reading
/// goes on after a restart, without loss or doubles. A half-written last line, left by a crash, is cut off when the log is opened.
/// </remarks>
internal sealed class RuntimeLog(ServerOptions options, ChangeHub changes) : IDisposable
{
    public const int SegmentBytes = 1 << 20;
    public const int MaxSegments = 16;

    private readonly Dictionary<Guid, Open> _open = [];

    /// <summary>Adds lines of one machine.</summary>
    public void Append(Guid projectId, IReadOnlyList<RuntimeLine> lines)
    {
        lock (_open)
        {
            var log = OpenLog(projectId);
            var buffer = new ArrayBufferWriter<byte>();
            foreach (var line in lines)
            {
                using (var json = new Utf8JsonWriter(buffer))
                {
                    JsonSerializer.Serialize(json, line, RuntimeLine.Json);
                }

                buffer.Write("\n"u8);
            }

            if (log.File.Length >= SegmentBytes)
            {
                log = Roll(projectId, log);
            }

            log.File.Write(buffer.WrittenSpan);
            log.File.Flush();
        }

        changes.Wake(Changes.Log(projectId));
    }

    /// <summary>Lines after an offset, oldest first, at most <paramref name="limit"/>; an offset older than what is kept begins at the oldest.</summary>
    public IReadOnlyList<(long Offset, RuntimeLine Line)> Read(Guid projectId, long after, int limit, Func<RuntimeLine, bool> filter, out long next)
    {
        var found = new List<(long, RuntimeLine)>();
        next = after;
        foreach (var (start, path) in Segments(projectId))
        {
            foreach (var (end, line) in ReadSegment(start, path, after))
            {
                next = end;
                if (filter(line))
                {
                    found.Add((end, line));
                    if (found.Count == limit)
                    {
                        return found;
                    }
                }
            }
        }

        return found;
    }

    /// <summary>The newest <paramref name="count"/> lines, oldest first.</summary>
    public IReadOnlyList<(long Offset, RuntimeLine Line)> Tail(Guid projectId, int count, Func<RuntimeLine, bool> filter, out long next)
    {
        next = 0;
        var tail = new List<(long, RuntimeLine)>();
        foreach (var (start, path) in Segments(projectId).Reverse())
        {
            var lines = ReadSegment(start, path, start).ToList();
            if (next == 0 && lines.Count > 0)
            {
                next = lines[^1].End;
            }

            tail.InsertRange(0, lines.Where(l => filter(l.Line)));
            if (tail.Count >= count)
            {
                break;
            }
        }

        return tail.Count > count ? tail.GetRange(tail.Count - count, count) : tail;
    }

    /// <summary>How far into a machine's output this log reaches; 0 when it has none of it.</summary>
    public long PositionOf(Guid projectId, string machine)
    {
        var tail = Tail(projectId, 1, line => line.Machine == machine, out _);
        return tail.Count > 0 ? tail[0].Line.Position : 0;
    }

    public void Remove(Guid projectId)
    {
        lock (_open)
        {
            if (_open.Remove(projectId, out var log))
            {
                log.File.Dispose();
            }

            var folder = Folder(projectId);
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, true);
            }
        }
    }

    /// <summary>Removes every log whose key is gone.</summary>
    public void RemoveAll(Func<Guid, bool> isGone)
    {
        var folder = options.InData("logs");
        var keys = !Directory.Exists(folder) ? [] : Directory.GetDirectories(folder)
            .Select(path => Guid.TryParseExact(Path.GetFileName(path), "N", out var key) ? key : (Guid?)null).OfType<Guid>();
        foreach (var key in keys.Where(isGone).ToList())
        {
            Remove(key);
        }
    }

    public void Dispose()
    {
        lock (_open)
        {
            foreach (var log in _open.Values)
            {
                log.File.Dispose();
            }

            _open.Clear();
        }
    }

    private string Folder(Guid projectId) => options.InData("logs", projectId.ToString("N"));

    private IEnumerable<(long Start, string Path)> Segments(Guid projectId)
    {
        var folder = Folder(projectId);
        return !Directory.Exists(folder) ? [] : Directory.GetFiles(folder, "*.log")
            .Select(path => (Start: long.Parse(Path.GetFileNameWithoutExtension(path), CultureInfo.InvariantCulture), path))
            .OrderBy(segment => segment.Start);
    }

    private static IEnumerable<(long End, RuntimeLine Line)> ReadSegment(long start, string path, long after)
    {
        byte[] bytes;
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (start + file.Length <= after)
            {
                yield break;
            }

            var skip = Math.Max(after - start, 0);
            file.Seek(skip, SeekOrigin.Begin);
            start += skip;
            bytes = new byte[file.Length - skip];
            bytes = bytes[..file.ReadAtLeast(bytes, bytes.Length, false)];
        }
        catch (FileNotFoundException)
        {
            yield break;
        }

        var at = 0;
        while (bytes.AsSpan(at).IndexOf((byte)'\n') is var length and >= 0)
        {
            RuntimeLine? line = null;
            try
            {
                line = JsonSerializer.Deserialize<RuntimeLine>(bytes.AsSpan(at, length), RuntimeLine.Json);
            }
            catch (JsonException)
            {
                // An offset that is not a line's end was asked for, or the disk damaged a line: go on at the next.
            }

            at += length + 1;
            if (line is not null)
            {
                yield return (start + at, line);
            }
        }
    }

    private Open OpenLog(Guid projectId)
    {
        if (_open.TryGetValue(projectId, out var log))
        {
            return log;
        }

        Directory.CreateDirectory(Folder(projectId));
        var newest = Segments(projectId).LastOrDefault();
        log = newest.Path is null ? Create(projectId, 0) : new Open(newest.Start, new FileStream(newest.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete));
        CutPartialLine(log.File);
        return _open[projectId] = log;
    }

    private static void CutPartialLine(FileStream file)
    {
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        file.SetLength(bytes.AsSpan().LastIndexOf((byte)'\n') + 1);
        file.Seek(0, SeekOrigin.End);
    }

    private Open Create(Guid projectId, long start)
        => new(start, new FileStream(Path.Combine(Folder(projectId), start.ToString("D20", CultureInfo.InvariantCulture) + ".log"), FileMode.Create, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete));

    private Open Roll(Guid projectId, Open full)
    {
        var start = full.Start + full.File.Length;
        full.File.Dispose();
        var log = _open[projectId] = Create(projectId, start);
        foreach (var (_, path) in Segments(projectId).SkipLast(MaxSegments))
        {
            File.Delete(path);
        }

        return log;
    }

    private sealed record Open(long Start, FileStream File);
}

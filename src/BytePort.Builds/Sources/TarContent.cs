namespace BytePort.Builds.Sources;

/// <summary>The content of one tar entry: ends at the entry's size, and knows how to skip to the next header.</summary>
internal sealed class TarContent(Stream archive, long length) : Stream
{
    private const int Block = 512;

    private long _left = length;
    private int _padding = (int)((Block - (length % Block)) % Block);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length { get; } = length;

    public override long Position
    {
        get => Length - _left;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_left == 0 || buffer.IsEmpty)
            return 0;
        var read = await archive.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
        _left -= read;
        return read > 0 ? read : throw Truncated();
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (_left == 0 || count == 0)
            return 0;
        var read = archive.Read(buffer, offset, (int)Math.Min(count, _left));
        _left -= read;
        return read > 0 ? read : throw Truncated();
    }

    public async Task SkipAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[Math.Min(_left + _padding, 64 * 1024)];
        while (_left + _padding > 0)
        {
            var read = await archive.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, _left + _padding)), cancellationToken);
            if (read == 0)
                throw Truncated();
            var content = Math.Min(read, _left);
            _left -= content;
            _padding -= (int)(read - content);
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private static SourceException Truncated() =>
        new(SourceErrors.BadArchive, "The tar archive is damaged: it ends inside an entry.");
}

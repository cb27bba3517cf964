using NanoVms.Commands;
using NanoVms.Drivers;
using NanoVms.Drivers.Vmm;

namespace NanoVms.Tests.Drivers.Vmm;

/// <summary>What both drivers are made of, each by itself.</summary>
public sealed class VmmPartsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-parts-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Firecracker v1.14.0\n\nSupported snapshot data format versions: v8.0.0", "1.14.0")]
    [InlineData("Firecracker v1.17.0-dev", "1.17.0")]
    [InlineData("cloud-hypervisor v48.0\n", "48.0")]
    [InlineData("cloud-hypervisor v0.0-123-gabc", "0.0")]
    [InlineData("no version", null)]
    [InlineData("", null)]
    public void Version_Read_IsTheFirst(string output, string? version) => Assert.Equal(version, VmmVersion.Read(output)?.ToString());

    [Fact]
    public void Fifo_FullPipe_NeverWaits_AndKeepsItsBeginning()
    {
        var path = Path.Combine(_folder, "pipe");
        using var mine = Fifo.Create(path, 0);
        using var theirs = Fifo.TryOpen(path);
        var buffer = new byte[1024];
        Assert.Equal(0, Fifo.Read(mine, buffer));
        using (var writer = new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(theirs!.DangerousGetHandle(), ownsHandle: false), FileAccess.Write, 0))
        {
            writer.Write("first"u8);
            _ = Assert.ThrowsAny<IOException>(() =>
            {
                for (var i = 0; i < 1000; i++)
                    writer.Write(buffer);
            });
        }

        Assert.True(Fifo.Read(mine, buffer) > 5);
        Assert.Equal("first"u8, buffer.AsSpan(0, 5));
    }

    [Fact]
    public void Fifo_LinkInItsPlace_IsNotFollowed()
    {
        using var real = Fifo.Create(Path.Combine(_folder, "real"), 0);
        _ = File.CreateSymbolicLink(Path.Combine(_folder, "link"), Path.Combine(_folder, "real"));
        Assert.Null(Fifo.TryOpen(Path.Combine(_folder, "link")));
        Assert.Null(Fifo.TryOpen(Path.Combine(_folder, "none")));
    }

    [Fact]
    public async Task Connect_SocketThatIsALink_IsNotFollowed()
    {
        using var listening = UnixSockets.Listen(_folder, "real");
        _ = File.CreateSymbolicLink(Path.Combine(_folder, "link"), Path.Combine(_folder, "real"));
        await using (await UnixSockets.ConnectAsync(_folder, "real", CancellationToken.None))
            _ = await Assert.ThrowsAnyAsync<Exception>(() => UnixSockets.ConnectAsync(_folder, "link", CancellationToken.None));
    }

    [Fact]
    public void Console_Tail_IsHarmlessAndBounded()
    {
        var console = new ConsoleText();
        for (var i = 0; i < 10_000; i++)
            console.Append("\u001b[31mline \u0007of the guest\r\n"u8);
        Assert.Equal(Enumerable.Repeat("[31mline of the guest", 40), ConsoleText.Tail(console.Take()).Split('\n'));
    }
}

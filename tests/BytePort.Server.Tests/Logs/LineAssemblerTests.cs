using System.Text;
using BytePort.Server.Logs;
using NanoVms.Machines;

namespace BytePort.Server.Tests.Logs;

public class LineAssemblerTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Add_LineInPieces_IsOneLineWithItsEnd()
    {
        var lines = Create();

        Assert.Empty(lines.Add(Chunk(0, "hel")));
        var line = Assert.Single(lines.Add(Chunk(3, "lo\nrest")));

        Assert.Equal("hello", line.Text);
        Assert.Equal(6, line.Position);
        Assert.Equal("rest", Assert.Single(lines.Finish()).Text);
    }

    [Fact]
    public void Add_BothStreams_AreNotMixed()
    {
        var lines = Create();
        lines.Add(Chunk(0, "out"));
        lines.Add(new OutputChunk(3, true, "err\n"u8.ToArray(), Now));

        var line = Assert.Single(lines.Add(Chunk(7, "put\n")));

        Assert.Equal(("stdout", "output"), (line.Stream, line.Text));
    }

    [Fact]
    public void Add_Gap_IsTold()
    {
        var told = Create().Add(Chunk(100, "x\n"));

        Assert.Equal("platform", told[0].Stream);
        Assert.Contains("100 bytes", told[0].Text, StringComparison.Ordinal);
        Assert.Equal("x", told[1].Text);
    }

    [Fact]
    public void Add_Flood_IsBoundedAndTold()
    {
        var lines = Create();
        var flood = string.Concat(Enumerable.Repeat("y\n", LineAssembler.Burst * 4));

        var kept = lines.Add(Chunk(0, flood));

        Assert.InRange(kept.Count, LineAssembler.Burst, LineAssembler.Burst + LineAssembler.LinesPerSecond);
        Assert.Contains("lines were dropped", Assert.Single(lines.Finish()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Add_EndlessLine_IsCutIntoPieces()
    {
        var kept = Create().Add(Chunk(0, new string('z', LineAssembler.MaxLineBytes * 3)));

        Assert.Equal(3, kept.Count);
        Assert.All(kept, line => Assert.Equal(LineAssembler.MaxLineBytes, line.Text.Length));
    }

    private static LineAssembler Create() => new("web", "m1", 0, TimeProvider.System);

    private static OutputChunk Chunk(long offset, string text) => new(offset, false, Encoding.UTF8.GetBytes(text), Now);
}

using BytePort.Server.Database;
using BytePort.Server.Logs;
using BytePort.Server.Tests.Platform;
using Microsoft.Extensions.DependencyInjection;

namespace BytePort.Server.Tests.Logs;

public class RuntimeLogTests(TestPlatform platform)
{
    private readonly Guid _project = Guid.NewGuid();

    [Fact]
    public void Read_FromOffset_GivesWhatFollows()
    {
        using var log = Create();
        log.Append(_project, [Line("one"), Line("two"), Line("three")]);
        var first = log.Read(_project, 0, 1, _ => true, out var next);

        var rest = log.Read(_project, next, 10, _ => true, out _);

        Assert.Equal(["one"], first.Select(l => l.Line.Text));
        Assert.Equal(["two", "three"], rest.Select(l => l.Line.Text));
        log.Remove(_project);
    }

    [Fact]
    public void Append_AfterHalfWrittenLine_KeepsTheWholeOnes()
    {
        using (var log = Create())
        {
            log.Append(_project, [Line("whole", position: 42)]);
        }

        var segment = Assert.Single(Directory.GetFiles(Path.Combine(platform.Options.DataFolder, "logs", _project.ToString("N"))));
        File.AppendAllText(segment, "{\"t\":\"20");
        using var again = Create();
        again.Append(_project, [Line("next", position: 50)]);

        Assert.Equal(["whole", "next"], again.Tail(_project, 10, _ => true, out _).Select(l => l.Line.Text));
        Assert.Equal(50, again.PositionOf(_project, "m"));
        again.Remove(_project);
    }

    [Fact]
    public void Append_PastTheLimit_RemovesTheOldestAndOffsetsGoOn()
    {
        using var log = Create();
        var big = new string('x', 8_000);
        for (var i = 0; i < 2_600; i++)
        {
            log.Append(_project, [Line(i + big)]);
        }

        var files = Directory.GetFiles(Path.Combine(platform.Options.DataFolder, "logs", _project.ToString("N")));
        var tail = log.Tail(_project, 1, _ => true, out var next);

        Assert.InRange(files.Length, 2, RuntimeLog.MaxSegments);
        Assert.StartsWith("2599x", tail[0].Line.Text, StringComparison.Ordinal);
        Assert.True(next > 20_000_000);
        Assert.NotEmpty(log.Read(_project, 5, 1, _ => true, out _));
        log.Remove(_project);
    }

    private RuntimeLog Create() => new(platform.Options, platform.Services.GetRequiredService<ChangeHub>());

    private static RuntimeLine Line(string text, long position = 0) => new(DateTimeOffset.UnixEpoch, "web", "m", position, "stdout", text);
}

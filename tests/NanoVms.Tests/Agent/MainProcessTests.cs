using System.Text;
using NanoVms.Agent;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class MainProcessTests : IAsyncLifetime
{
    private AgentProcess _agent = null!;

    public async ValueTask InitializeAsync() => _agent = await AgentProcess.StartAsync();

    public ValueTask DisposeAsync() => _agent.DisposeAsync();

    [Fact]
    public async Task ReadMainOutputAsync_ProcessEnds_GivesAllAndEnds()
    {
        await using var connection = await _agent.ConnectAsync();
        var before = DateTimeOffset.UtcNow.AddSeconds(-1);
        await connection.StartMainAsync(AgentConnectionTests.Shell("echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; exit 5"), Cancel.After(20));
        var chunks = await ReadAsync(connection, 0);
        Assert.Equal("one\ntwo\nthree\n", Text(chunks));
        Assert.Equal([0, 4, 8], chunks.Select(c => c.Offset));
        Assert.Equal([false, true, false], chunks.Select(c => c.IsError));
        Assert.All(chunks, c => Assert.InRange(c.Time, before, DateTimeOffset.UtcNow.AddSeconds(1)));
        Assert.Equal(5, (await connection.MainExited).ExitCode);
        Assert.Equal("three\n", Text(await ReadAsync(connection, 8)));
        Assert.Equal("o\nthree\n", Text(await ReadAsync(connection, 6)));
    }

    [Fact]
    public async Task ReadMainOutputAsync_PastTheEnd_IsRefused()
    {
        await using var connection = await _agent.ConnectAsync();
        var failure = await Assert.ThrowsAsync<AgentException>(() => ReadAsync(connection, 1));
        Assert.False(failure.IsTransient);
        Assert.Contains("0 bytes", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartMainAsync_NobodyReads_ProcessIsNotHeldUp()
    {
        await using (var connection = await _agent.ConnectAsync())
            await connection.StartMainAsync(AgentConnectionTests.Shell("head -c 30000000 /dev/zero | tr '\\0' x; echo end"), Cancel.After(20));
        ProcessExit exit;
        await using (var connection = await _agent.ConnectAsync())
            exit = await connection.MainExited.WaitAsync(Cancel.After(30));
        Assert.Equal(0, exit.ExitCode);
        await using var again = await _agent.ConnectAsync();
        Assert.Equal(MainState.Exited, again.Info.Main);
        Assert.Equal(exit, again.Info.MainExit);
        var chunks = await ReadAsync(again, 0);
        Assert.InRange(chunks[0].Offset, 30_000_004 - (1 << 20), 30_000_004 - (1 << 20) + 65536);
        Assert.EndsWith("xxend\n", Text(chunks), StringComparison.Ordinal);
        Assert.Equal(30_000_004, chunks[^1].Offset + chunks[^1].Data.Length);
    }

    [Fact]
    public async Task ReadMainOutputAsync_FloodAndSlowReader_GapsAreSeenAndOrderKept()
    {
        await using var connection = await _agent.ConnectAsync();
        await connection.StartMainAsync(AgentConnectionTests.Shell("yes abcdefg"), Cancel.After(20));
        var (next, gap, chunks) = (0L, false, 0);
        await foreach (var chunk in connection.ReadMainOutputAsync(0, Cancel.After(30)))
        {
            Assert.True(chunk.Offset >= next);
            gap |= chunk.Offset > next;
            next = chunk.Offset + chunk.Data.Length;
            Assert.Equal((byte)"abcdefg\n"[(int)(chunk.Offset % 8)], chunk.Data.Span[0]);
            if (chunks++ < 20)
                await Task.Delay(20, Cancel.After(30));
            if (gap && chunks > 100)
                break;
        }

        Assert.True(gap);
        Assert.Equal("still here\n", await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell("echo still here")));
        await connection.SignalMainAsync(9, Cancel.After(20));
        Assert.Equal(9, (await connection.MainExited.WaitAsync(Cancel.After(20))).Signal);
    }

    [Fact]
    public async Task SignalMainAsync_TermHandled_ReachesShellAndItsChildren()
    {
        await using var connection = await _agent.ConnectAsync();
        await connection.StartMainAsync(AgentConnectionTests.Shell("trap 'echo bye; exit 7' TERM; echo up; sleep 100 & wait"), Cancel.After(20));
        await foreach (var chunk in connection.ReadMainOutputAsync(0, Cancel.After(20)))
        {
            if (chunk.Offset == 0)
                await connection.SignalMainAsync(15, Cancel.After(20));
        }

        Assert.Equal(7, (await connection.MainExited.WaitAsync(Cancel.After(20))).ExitCode);
    }

    [Fact]
    public async Task StartMainAsync_Twice_IsRefused()
    {
        await using var connection = await _agent.ConnectAsync();
        await connection.StartMainAsync(AgentConnectionTests.Shell("sleep 100"), Cancel.After(20));
        await Assert.ThrowsAsync<AgentException>(() => connection.StartMainAsync(AgentConnectionTests.Shell("true"), Cancel.After(20)));
    }

    [Fact]
    public async Task StartMainAsync_NoSuchProgram_ExitsWith127AndSaysSoInTheOutput()
    {
        await using var connection = await _agent.ConnectAsync();
        await connection.StartMainAsync(new ProcessSpec { Command = ["nodde", "server.js"] }, Cancel.After(20));
        Assert.Equal(127, (await connection.MainExited.WaitAsync(Cancel.After(20))).ExitCode);
        Assert.Contains("nodde: command not found", Text(await ReadAsync(connection, 0)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_AfterAHostVanished_OutputGoesOnWhereItWas()
    {
        var first = await _agent.ConnectAsync();
        await first.StartMainAsync(AgentConnectionTests.Shell("for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.1; done"), Cancel.After(20));
        var text = "";
        var next = 0L;
        await foreach (var chunk in first.ReadMainOutputAsync(0, Cancel.After(20)))
        {
            text += Encoding.UTF8.GetString(chunk.Data.Span);
            next = chunk.Offset + chunk.Data.Length;
            if (next >= 14)
                break;
        }

        await first.DisposeAsync();
        await using var second = await _agent.ConnectAsync();
        Assert.Equal(MainState.Running, second.Info.Main);
        text += Text(await ReadAsync(second, next));
        Assert.Equal(string.Concat(Enumerable.Range(1, 9).Select(i => $"line {i}\n")), text);
    }

    internal static string Text(IEnumerable<OutputChunk> chunks) =>
        string.Concat(chunks.Select(c => Encoding.UTF8.GetString(c.Data.Span)));

    internal static async Task<List<OutputChunk>> ReadAsync(AgentConnection connection, long from)
    {
        var chunks = new List<OutputChunk>();
        await foreach (var chunk in connection.ReadMainOutputAsync(from, Cancel.After(30)))
            chunks.Add(chunk);
        return chunks;
    }
}

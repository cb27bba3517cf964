using System.Security.Cryptography;
using System.Text;
using NanoVms.Agent;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class GuestProcessTests : IAsyncLifetime
{
    private AgentProcess _agent = null!;
    private AgentConnection _connection = null!;

    public async ValueTask InitializeAsync()
    {
        _agent = await AgentProcess.StartAsync();
        _connection = await _agent.ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _agent.DisposeAsync();
    }

    [Fact]
    public async Task ExecAsync_Terminal_IsTheControllingOneOfItsSize()
    {
        var spec = Terminal("tty; stty size; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo three; echo direct > /dev/tty; echo $TERM; exit 4");
        var (output, exit) = await ReadAsync(spec);
        var lines = output.Split("\r\n");
        Assert.StartsWith("/dev/pts/", lines[0], StringComparison.Ordinal);
        Assert.Equal(["30 100", "three", "direct", "xterm-256color", ""], lines[1..]);
        Assert.Equal(4, exit.ExitCode);
    }

    [Fact]
    public async Task ResizeAsync_Terminal_ProgramIsTold()
    {
        await using var process = await _connection.ExecAsync(
            Terminal("trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done"), Cancel.After(20));
        var text = await ReadAsync(process, async text =>
        {
            if (text == "up\r\n")
                await process.ResizeAsync(new TerminalSize(132, 50), Cancel.After(20));
        });
        Assert.Equal("up\r\n50 132\r\n", text);
    }

    [Fact]
    public async Task WriteAsync_InterruptCharacter_EndsTheForegroundProgram()
    {
        await using var process = await _connection.ExecAsync(Terminal("echo up; exec sleep 100"), Cancel.After(20));
        await ReadAsync(process, async text =>
        {
            if (text == "up\r\n")
                Assert.True(await process.WriteAsync(new byte[] { 3 }, Cancel.After(20)));
        });
        Assert.Equal(2, (await process.Exited).Signal);
        Assert.False(await process.WriteAsync("late"u8.ToArray(), Cancel.After(20)));
    }

    [Theory]
    [InlineData("a line\n")]
    [InlineData("no line")]
    public async Task CloseInputAsync_Terminal_IsTheEnd(string input)
    {
        await using var process = await _connection.ExecAsync(Terminal("stty -echo; echo up; cat; echo end"), Cancel.After(20));
        var text = await ReadAsync(process, async text =>
        {
            if (text != "up\r\n")
                return;
            await process.WriteAsync(Encoding.UTF8.GetBytes(input), Cancel.After(20));
            await process.CloseInputAsync(Cancel.After(20));
        });
        Assert.Equal("up\r\n" + input.Replace("\n", "\r\n", StringComparison.Ordinal) + "end\r\n", text);
    }

    [Fact]
    public async Task WriteAsync_MegabytesThroughCat_ComeBackWhole()
    {
        var sent = RandomNumberGenerator.GetBytes(5_000_001);
        await using var process = await _connection.ExecAsync(Piped("cat; exit 6"), Cancel.After(30));
        var writing = Task.Run(async () =>
        {
            Assert.True(await process.WriteAsync(sent, Cancel.After(30)));
            await process.CloseInputAsync(Cancel.After(30));
        });
        using var received = new MemoryStream();
        await foreach (var chunk in process.ReadOutputAsync(Cancel.After(30)))
            received.Write(chunk.Data.Span);
        await writing;
        Assert.Equal(SHA256.HashData(sent), SHA256.HashData(received.ToArray()));
        Assert.Equal(6, (await process.Exited).ExitCode);
    }

    [Fact]
    public async Task WriteAsync_ProcessDoesNotRead_WaitsAndGoesOn()
    {
        await using var process = await _connection.ExecAsync(Piped("read go < /proc/self/fd/0; wc -c"), Cancel.After(20));
        await process.SignalAsync(19, Cancel.After(20));
        var writing = process.WriteAsync(new byte[2_000_000], Cancel.After(20));
        await Task.Delay(300);
        Assert.False(writing.IsCompleted);
        Assert.True(Rss(_agent.Pid) < 64 * 1024);
        await process.SignalAsync(9, Cancel.After(20));
        Assert.False(await writing);
        Assert.Equal(9, (await process.Exited).Signal);
    }

    [Fact]
    public async Task WriteAsync_ProcessClosedItsInput_IsDropped()
    {
        await using var process = await _connection.ExecAsync(Piped("exec 0<&-; sleep 0.5; echo done"), Cancel.After(20));
        await process.WriteAsync(new byte[1_000_000], Cancel.After(20));
        Assert.Equal("done\n", await ReadAsync(process, _ => Task.CompletedTask));
        Assert.Equal(0, (await process.Exited).ExitCode);
    }

    [Fact]
    public async Task SignalAsync_Handled_ReachesTheProcess()
    {
        await using var process = await _connection.ExecAsync(Piped("trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"), Cancel.After(20));
        await ReadAsync(process, text => text == "up\n" ? process.SignalAsync(10, Cancel.After(20)) : Task.CompletedTask);
        Assert.Equal(9, (await process.Exited).ExitCode);
    }

    [Fact]
    public async Task ResizeAsync_NoTerminal_FailsThisProcessOnly()
    {
        await using var process = await _connection.ExecAsync(Piped("sleep 100"), Cancel.After(20));
        await process.ResizeAsync(new TerminalSize(1, 1), Cancel.After(20));
        var failure = await Assert.ThrowsAsync<AgentException>(() => process.Exited.WaitAsync(Cancel.After(20)));
        Assert.Contains("no terminal", failure.Message, StringComparison.Ordinal);
        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(_connection, AgentConnectionTests.Shell("echo ok")));
    }

    [Fact]
    public async Task DisposeAsync_ProcessRuns_IsKilled()
    {
        var marker = $"88{Random.Shared.Next(100_000, 999_999)}";
        var process = await _connection.ExecAsync(Terminal($"sleep {marker} & sleep {marker}"), Cancel.After(20));
        await process.DisposeAsync();
        Assert.Equal("", await AgentConnectionTests.ReadAllAsync(_connection, AgentConnectionTests.Shell($"ps -eo args | grep '^sleep {marker}' || true")));
    }

    [Theory]
    [InlineData("nobody", "65534 65534 65534 /nonexistent")]
    [InlineData("65534", "65534 65534 65534 /nonexistent")]
    [InlineData("nobody:daemon", "65534 1 1 /nonexistent")]
    [InlineData("4321:8765", "4321 8765 8765 none")]
    [InlineData("4321", "4321 0 0 none")]
    public async Task RunAsync_Account_IsResolvedInTheGuest(string account, string expected)
    {
        var spec = AgentConnectionTests.Shell("echo $(id -u) $(id -g) $(id -G) ${HOME:-none}") with { Account = account };
        Assert.Equal(expected + "\n", await AgentConnectionTests.ReadAllAsync(_connection, spec));
    }

    [Theory]
    [InlineData("no-such-user", "/etc/passwd")]
    [InlineData("nobody:no-such-group", "/etc/group")]
    [InlineData("-1", "/etc/passwd")]
    public async Task RunAsync_UnknownAccount_DoesNotRun(string account, string file)
    {
        var exit = await _connection.RunAsync(AgentConnectionTests.Shell("true") with { Account = account }, null, Cancel.After(20));
        Assert.Equal(126, exit.ExitCode);
        Assert.Contains(file, exit.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Limits_AreThoseOfTheProcessAlone()
    {
        var spec = AgentConnectionTests.Shell("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -v; id -u; echo \"$0\" $1; grep CapEff /proc/self/status") with
        {
            User = 65534,
            Group = 65534,
            Limits =
            [
                new ResourceLimit(ResourceKind.OpenFiles, 100, 500),
                new ResourceLimit(ResourceKind.Core, 0, 0),
                new ResourceLimit(ResourceKind.AddressSpace, 64 << 20, 64 << 20),
            ],
        };
        spec = spec with { Command = [.. spec.Command, "zero", "one two"] };
        Assert.Equal(
            "100\n500\n0\n65536\n65534\nzero one two\nCapEff:\t0000000000000000\n", await AgentConnectionTests.ReadAllAsync(_connection, spec));
        Assert.NotEqual("500\n", await AgentConnectionTests.ReadAllAsync(_connection, AgentConnectionTests.Shell("ulimit -Hn")));
        var missing = new ProcessSpec { Command = ["/proc/self/nothing"], Limits = spec.Limits };
        Assert.Equal(127, (await _connection.RunAsync(missing, null, Cancel.After(20))).ExitCode);
    }

    [Fact]
    public async Task RunAsync_LimitsWithTerminal_StillHasIt()
    {
        var spec = Terminal("[ -t 0 ] && echo yes; ulimit -n") with { Limits = [new ResourceLimit(ResourceKind.OpenFiles, 77, 77)] };
        Assert.Equal("yes\r\n77\r\n", (await ReadAsync(spec)).Output);
    }

    internal static ProcessSpec Piped(string script) => AgentConnectionTests.Shell(script) with { HasInput = true };

    internal static ProcessSpec Terminal(string script) => AgentConnectionTests.Shell(script) with { Terminal = new TerminalSize(100, 30) };

    /// <param name="onText">Called with all text so far, after each piece.</param>
    internal static async Task<string> ReadAsync(GuestProcess process, Func<string, Task> onText)
    {
        var text = new StringBuilder();
        await foreach (var chunk in process.ReadOutputAsync(Cancel.After(20)))
        {
            text.Append(Encoding.UTF8.GetString(chunk.Data.Span));
            await onText(text.ToString());
        }

        return text.ToString();
    }

    private static long Rss(int pid)
    {
        var line = File.ReadLines($"/proc/{pid}/status").Single(l => l.StartsWith("VmRSS", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], System.Globalization.CultureInfo.InvariantCulture);
    }

    private async Task<(string Output, ProcessExit Exit)> ReadAsync(ProcessSpec spec)
    {
        await using var process = await _connection.ExecAsync(spec, Cancel.After(20));
        return (await ReadAsync(process, _ => Task.CompletedTask), await process.Exited);
    }
}

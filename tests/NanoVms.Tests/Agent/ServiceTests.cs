using NanoVms.Agent;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class ServiceTests : IAsyncLifetime
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
    public async Task AttachAsync_MainWithTerminal_TypesAndReads()
    {
        await _connection.StartMainAsync(
            new ProcessSpec { Command = ["sh"], Environment = new Dictionary<string, string> { ["PS1"] = "> " }, Terminal = new TerminalSize(80, 25) }, Cancel.After(20));
        await using (var first = await _connection.AttachAsync("main", 0, Cancel.After(20)))
        {
            await first.WriteAsync("stty -echo; echo $((6*7))\n"u8.ToArray(), Cancel.After(20));
            await UntilAsync(first, "42\r\n");
        }

        // Letting go ends nothing; another connection finds it as it was.
        await _connection.DisposeAsync();
        _connection = await _agent.ConnectAsync();
        await using var again = await _connection.AttachAsync("main", null, Cancel.After(20));
        await again.ResizeAsync(new TerminalSize(99, 11), Cancel.After(20));
        await again.WriteAsync("stty size; exit 3\n"u8.ToArray(), Cancel.After(20));
        Assert.Contains("11 99\r\n", await GuestProcessTests.ReadAsync(again, _ => Task.CompletedTask), StringComparison.Ordinal);
        Assert.Equal(3, (await again.Exited).ExitCode);
        Assert.Equal(3, (await _connection.MainExited.WaitAsync(Cancel.After(20))).ExitCode);
    }

    [Fact]
    public async Task AttachAsync_PipedInput_SeveralWritersReachOneProcess()
    {
        await _connection.StartServiceAsync("sink", GuestProcessTests.Piped("wc -c"), Cancel.After(20));
        await using var one = await _connection.AttachAsync("sink", 0, Cancel.After(20));
        await using var two = await _connection.AttachAsync("sink", 0, Cancel.After(20));
        await Task.WhenAll(one.WriteAsync(new byte[400_000], Cancel.After(20)), two.WriteAsync(new byte[300_000], Cancel.After(20)));
        await one.CloseInputAsync(Cancel.After(20));
        Assert.Equal("700000\n", await GuestProcessTests.ReadAsync(one, _ => Task.CompletedTask));
        Assert.Equal("700000\n", await GuestProcessTests.ReadAsync(two, _ => Task.CompletedTask));
    }

    [Fact]
    public async Task StartServiceAsync_Several_EachHasItsOwn()
    {
        await _connection.StartMainAsync(AgentConnectionTests.Shell("sleep 100"), Cancel.After(20));
        await _connection.StartServiceAsync("cache", AgentConnectionTests.Shell("echo cache up; exec sleep 100"), Cancel.After(20));
        await _connection.StartServiceAsync("job-1", AgentConnectionTests.Shell("echo job; exit 5"), Cancel.After(20));
        Assert.Equal(5, (await ExitAsync("job-1")).ExitCode);
        var services = await _connection.GetServicesAsync(Cancel.After(20));
        Assert.Equal(["main", "cache", "job-1"], services.Select(s => s.Name));
        Assert.Equal([MainState.Running, MainState.Running, MainState.Exited], services.Select(s => s.State));
        Assert.Equal(5, services[2].Exit!.ExitCode);
        Assert.Equal(4, services[2].OutputBytes);
        Assert.True(services[1].ProcessId > 1);

        await _connection.SignalServiceAsync("cache", 15, Cancel.After(20));
        Assert.Equal(15, (await ExitAsync("cache")).Signal);
        Assert.False(_connection.MainExited.IsCompleted);

        // An ended one makes room for the next of its name, with output of its own.
        await _connection.StartServiceAsync("job-1", AgentConnectionTests.Shell("echo again"), Cancel.After(20));
        await using var job = await _connection.AttachAsync("job-1", 0, Cancel.After(20));
        Assert.Equal("again\n", await GuestProcessTests.ReadAsync(job, _ => Task.CompletedTask));
    }

    [Fact]
    public async Task StartServiceAsync_RunsAlready_IsRefused()
    {
        await _connection.StartServiceAsync("one", AgentConnectionTests.Shell("sleep 100"), Cancel.After(20));
        await AssertRefusedAsync("runs already", () => _connection.StartServiceAsync("one", AgentConnectionTests.Shell("true"), Cancel.After(20)));
        await AssertRefusedAsync("there are: main, one", () => _connection.SignalServiceAsync("two", 15, Cancel.After(20)));
        await AssertRefusedAsync("not started", () => ExitAsync("main"));
        await Assert.ThrowsAsync<ArgumentException>(() => _connection.StartServiceAsync("No", AgentConnectionTests.Shell("true"), Cancel.After(20)));
    }

    [Fact]
    public async Task DisposeAsync_Attached_LetsGoAndTellsWhoWaits()
    {
        await _connection.StartServiceAsync("one", AgentConnectionTests.Shell("sleep 100"), Cancel.After(20));
        var process = await _connection.AttachAsync("one", null, Cancel.After(20));
        await process.DisposeAsync();
        await Assert.ThrowsAsync<AgentException>(() => process.Exited.WaitAsync(Cancel.After(20)));
        Assert.Equal(MainState.Running, (await _connection.GetServicesAsync(Cancel.After(20))).Single().State);
    }

    private static async Task AssertRefusedAsync(string reason, Func<Task> action)
    {
        var failure = await Assert.ThrowsAsync<AgentException>(action);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.False(failure.IsTransient);
    }

    private static async Task UntilAsync(GuestProcess process, string end)
    {
        var text = "";
        await foreach (var chunk in process.ReadOutputAsync(Cancel.After(20)))
        {
            text += System.Text.Encoding.UTF8.GetString(chunk.Data.Span);
            if (text.Contains(end, StringComparison.Ordinal))
                return;
        }

        Assert.Fail(text);
    }

    private async Task<ProcessExit> ExitAsync(string name)
    {
        await using var process = await _connection.AttachAsync(name, 0, Cancel.After(20));
        return await process.Exited.WaitAsync(Cancel.After(20));
    }
}

using System.Diagnostics;
using System.Text;
using NanoVms.Agent;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class AgentConnectionTests : IAsyncLifetime
{
    private AgentProcess _agent = null!;

    public async ValueTask InitializeAsync() => _agent = await AgentProcess.StartAsync();

    public ValueTask DisposeAsync() => _agent.DisposeAsync();

    [Fact]
    public async Task ConnectAsync_FreshAgent_TellsItsState()
    {
        await using var connection = await _agent.ConnectAsync();
        Assert.Equal("0.1.0", connection.Info.Version);
        Assert.Equal(File.ReadAllText("/proc/sys/kernel/osrelease").Trim(), connection.Info.KernelRelease);
        Assert.Equal(Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id")), connection.Info.BootId);
        Assert.False(connection.Info.IsConfigured);
        Assert.Equal(MainState.NotStarted, connection.Info.Main);
        Assert.True(connection.Info.Uptime > TimeSpan.Zero);
    }

    [Fact]
    public async Task RunAsync_OutputAndCode_BothArrive()
    {
        await using var connection = await _agent.ConnectAsync();
        var (output, errors) = (new StringBuilder(), new StringBuilder());
        var exit = await connection.RunAsync(
            Shell("printf out; printf err >&2; exit 3"),
            chunk => (chunk.IsError ? errors : output).Append(Encoding.UTF8.GetString(chunk.Data.Span)),
            Cancel.After(20));
        Assert.Equal(new ProcessExit(3, null, "The process exited with code 3."), exit);
        Assert.Equal("out", output.ToString());
        Assert.Equal("err", errors.ToString());
    }

    [Fact]
    public async Task RunAsync_EnvironmentAndArguments_AreExact()
    {
        await using var connection = await _agent.ConnectAsync();
        var value = "two  words 'single' \"double\" $HOME `id` \\ back\nnew\tline é 𝄞 =";
        var output = await ReadAllAsync(connection, new ProcessSpec
        {
            Command = ["python3", "-c", "import os,sys; sys.stdout.write(repr([os.environb[b'V'], os.fsencode(sys.argv[1]), os.getcwd()]))", value],
            Environment = new Dictionary<string, string> { ["V"] = value, ["EMPTY"] = "" },
            WorkingDirectory = "/usr",
        });
        var python = "b'" + string.Concat(Encoding.UTF8.GetBytes(value).Select(b => $"\\x{b:x2}")) + "'";
        var same = await ReadAllAsync(connection, new ProcessSpec
        {
            Command = ["python3", "-c", $"import sys; sys.stdout.write(repr([{python}, {python}, '/usr']))"],
        });
        Assert.Equal(same, output);
    }

    [Fact]
    public async Task RunAsync_UserAndGroup_AreDroppedWholly()
    {
        await using var connection = await _agent.ConnectAsync();
        var spec = Shell("grep -E '^(Uid|Gid|Groups|CapEff|CapPrm):' /proc/self/status") with { User = 65534, Group = 65533 };
        var output = await ReadAllAsync(connection, spec);
        Assert.Equal(
            "Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\nGroups:\t\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n",
            output.Replace("Groups:\t \n", "Groups:\t\n", StringComparison.Ordinal));
        Assert.Equal("0\n", await ReadAllAsync(connection, Shell("id -u")));
    }

    [Theory]
    [InlineData("no-such-program", 127, "command not found")]
    [InlineData("/no/such/program", 127, "no such file")]
    [InlineData("/etc/passwd", 126, "not executable")]
    [InlineData("/etc", 126, "not executable")]
    public async Task RunAsync_ProgramThatCannotRun_ExitsAsInAShell(string program, int code, string reason)
    {
        await using var connection = await _agent.ConnectAsync();
        var exit = await connection.RunAsync(new ProcessSpec { Command = [program] }, null, Cancel.After(20));
        Assert.Equal(code, exit.ExitCode);
        Assert.Contains(reason, exit.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Canceled_KillsTheWholeSession()
    {
        await using var connection = await _agent.ConnectAsync();
        using var cancel = new CancellationTokenSource();
        var marker = $"86{Random.Shared.Next(100_000, 999_999)}";
        var spec = Shell($"set -m; sleep {marker} & sh -c 'sleep {marker}; true' & echo up; wait");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connection.RunAsync(spec, _ => cancel.Cancel(), cancel.Token));
        Assert.Equal("", await ReadAllAsync(connection, Shell($"ps -eo args | grep '^sleep {marker}' || true")));
    }

    [Fact]
    public async Task RunAsync_ChildHoldsThePipe_EndsWithTheProcess()
    {
        await using var connection = await _agent.ConnectAsync();
        var watch = Stopwatch.StartNew();
        Assert.Equal("done\n", await ReadAllAsync(connection, Shell("sleep 60 & echo done")));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), watch.Elapsed.ToString());
    }

    [Fact]
    public async Task RunAsync_SlowReader_LosesNothing()
    {
        await using var connection = await _agent.ConnectAsync();
        var (bytes, next) = (0L, 0L);
        var exit = await connection.RunAsync(
            Shell("seq 1 400000"),
            chunk =>
            {
                Assert.Equal(next, chunk.Offset);
                bytes += chunk.Data.Length;
                next = chunk.Offset + chunk.Data.Length;
                if (bytes < 100_000)
                    Thread.Sleep(20);
            },
            Cancel.After(60));
        Assert.Equal(0, exit.ExitCode);
        Assert.Equal(Enumerable.Range(1, 400_000).Sum(i => (long)i.ToString(System.Globalization.CultureInfo.InvariantCulture).Length + 1), bytes);
    }

    [Fact]
    public async Task RunAsync_ManyAtOnce_EachGetsItsOwn()
    {
        await using var connection = await _agent.ConnectAsync();
        var outputs = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => ReadAllAsync(connection, Shell($"echo {i}; exit {i}"))));
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"{i}\n"), outputs);
    }

    [Fact]
    public async Task RunAsync_LargeEnvironment_PassesInSeveralFrames()
    {
        await using var connection = await _agent.ConnectAsync();
        var environment = Enumerable.Range(0, 10).ToDictionary(i => $"V{i}", i => new string((char)('a' + i), 100_000));
        var output = await ReadAllAsync(connection, Shell("printf '%s' \"$V0$V9\" | wc -c") with { Environment = environment });
        Assert.Equal("200000\n", output);
    }

    [Fact]
    public async Task GetStatsAsync_Host_GivesItsNumbers()
    {
        await using var connection = await _agent.ConnectAsync();
        var stats = await connection.GetStatsAsync(Cancel.After(20));
        Assert.InRange(stats.MemoryUsed, 1, stats.MemoryTotal);
        Assert.True(stats.CpuTime > TimeSpan.Zero);
    }

    [Fact]
    public async Task DisposeAsync_ProcessRuns_IsKilled()
    {
        var connection = await _agent.ConnectAsync();
        var started = new TaskCompletionSource();
        var marker = $"87{Random.Shared.Next(100_000, 999_999)}";
        var run = connection.RunAsync(Shell($"echo up; exec sleep {marker}"), _ => started.TrySetResult(), Cancel.After(20));
        await started.Task;
        await connection.DisposeAsync();
        var failure = await Assert.ThrowsAsync<AgentException>(() => run);
        Assert.True(failure.IsTransient);
        await connection.Disconnected;
        await using var next = await _agent.ConnectAsync();
        Assert.Equal("", await ReadAllAsync(next, Shell($"sleep 0.2; ps -eo args | grep '^sleep {marker}' || true")));
    }

    internal static ProcessSpec Shell(string script) => new() { Command = ["sh", "-c", script] };

    internal static async Task<string> ReadAllAsync(AgentConnection connection, ProcessSpec spec)
    {
        using var bytes = new MemoryStream();
        await connection.RunAsync(spec, chunk => bytes.Write(chunk.Data.Span), Cancel.After(30));
        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}

using System.Diagnostics;
using NanoVms.Commands;

namespace NanoVms.Tests.Commands;

public class CommandRunnerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RunAsync_ArgumentsWithShellCharacters_ArrivesUntouched()
    {
        var result = await CommandRunner.RunAsync(new Command("printf", "%s|", "a b", "$HOME", "';ls"), Token);
        Assert.Equal("a b|$HOME|';ls|", result.StandardOutput);
    }

    [Fact]
    public async Task RunAsync_NonZeroExit_IsAResult()
    {
        var result = await CommandRunner.RunAsync(new Command("sh", "-c", "echo out; echo err >&2; exit 7"), Token);
        Assert.Equal((7, "out\n", "err\n"), (result.ExitCode, result.StandardOutput, result.StandardError));
    }

    [Fact]
    public async Task RunCheckedAsync_NonZeroExit_NamesProgramCodeAndLastLines()
    {
        var error = await Assert.ThrowsAsync<CommandException>(
            () => CommandRunner.RunCheckedAsync(new Command("sh", "-c", "echo broken pipe wrench >&2; exit 3"), Token));
        Assert.Equal((CommandFailure.ExitCode, 3), (error.Failure, error.ExitCode));
        Assert.Contains("exit code 3: broken pipe wrench", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_MissingProgram_NamesThePackage()
    {
        var unknown = await Assert.ThrowsAsync<CommandException>(() => CommandRunner.RunAsync(new Command("no-such-program-x"), Token));
        Assert.Equal(CommandFailure.Missing, unknown.Failure);
        Assert.Contains("no-such-program-x", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Environment_IsMinimalPlusGiven()
    {
        Environment.SetEnvironmentVariable("COMMAND_TEST_SECRET", "leak");
        var result = await CommandRunner.RunAsync(
            new Command("env") { Environment = new Dictionary<string, string> { ["GIVEN"] = "a b" } }, Token);
        Assert.Contains("GIVEN=a b\n", result.StandardOutput, StringComparison.Ordinal);
        Assert.DoesNotContain("leak", result.StandardOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_StandardInput_IsFedAndClosed()
    {
        var text = new string('x', 300_000);
        var result = await CommandRunner.RunAsync(new Command("cat") { StandardInput = text }, Token);
        Assert.Equal(text, result.StandardOutput);
        Assert.Equal("", (await CommandRunner.RunAsync(new Command("cat"), Token)).StandardOutput);
    }

    [Fact]
    public async Task RunAsync_EndlessOutput_KeepsHeadAndTailWithinLimit()
    {
        var result = await CommandRunner.RunAsync(
            new Command("sh", "-c", "seq 1 100000; seq 1 100000 >&2") { MaxOutputBytes = 1000 }, Token);
        Assert.True(result.OutputTruncated);
        Assert.StartsWith("1\n2\n", result.StandardOutput, StringComparison.Ordinal);
        Assert.EndsWith("99999\n100000\n", result.StandardError, StringComparison.Ordinal);
        Assert.Equal((1000, 1000), (result.StandardOutput.Length, result.StandardError.Length));
    }

    [Fact]
    public async Task RunAsync_Timeout_KillsTheWholeTree()
    {
        var marker = $"36{Random.Shared.Next(100_000, 999_999)}";
        var error = await Assert.ThrowsAsync<CommandException>(() => CommandRunner.RunAsync(
            new Command("sh", "-c", $"(setsid sleep {marker} &) ; sleep {marker} & sleep {marker}") { Timeout = TimeSpan.FromSeconds(0.5) }, Token));
        Assert.Equal(CommandFailure.TimedOut, error.Failure);
        await AssertNoProcessAsync($"sleep {marker}", allowOwnSession: true);
    }

    [Fact]
    public async Task RunAsync_Cancel_KillsTheTreeAndThrows()
    {
        var marker = $"37{Random.Shared.Next(100_000, 999_999)}";
        using var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(0.3));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => CommandRunner.RunAsync(new Command("sh", "-c", $"sleep {marker} & wait"), cancel.Token));
        await AssertNoProcessAsync($"sleep {marker}", allowOwnSession: false);
    }

    [Fact]
    public async Task RunAsync_DaemonHoldsThePipe_ReturnsAnyway()
    {
        var clock = Stopwatch.StartNew();
        var result = await CommandRunner.RunAsync(new Command("sh", "-c", "setsid sleep 8 & echo started"), Token);
        Assert.Equal("started\n", result.StandardOutput);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(6), $"took {clock.Elapsed}");
    }

    [Fact]
    public async Task StreamAsync_Lines_ComeSplitWithTheirStream()
    {
        var lines = new List<string>();
        var code = await CommandRunner.StreamAsync(
            new Command("sh", "-c", "printf 'a\\r\\nb\\rc'; printf 'e\\n' >&2; exit 4"), (stream, line) => lines.Add($"{stream}:{line}"), Token);
        Assert.Equal(4, code);
        Assert.Equal(["stderr:e", "stdout:a", "stdout:b", "stdout:c"], lines.Order());
    }

    [Fact]
    public async Task StreamAsync_CallbackThrows_KillsAndRethrows()
    {
        var clock = Stopwatch.StartNew();
        await Assert.ThrowsAsync<InvalidOperationException>(() => CommandRunner.StreamAsync(
            new Command("sh", "-c", "while :; do echo x; done"), (_, _) => throw new InvalidOperationException("enough"), Token));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"took {clock.Elapsed}");
    }

    private static async Task AssertNoProcessAsync(string commandLine, bool allowOwnSession)
    {
        for (var attempt = 0; attempt < 20; attempt++)
        {
            if (Find(commandLine).Count <= (allowOwnSession ? 1 : 0))
            {
                // A descendant that left for a session of its own after losing its parent cannot be traced: end it here.
                foreach (var process in Find(commandLine))
                    process.Kill();
                return;
            }

            await Task.Delay(50, Token);
        }

        Assert.Fail($"'{commandLine}' still runs");
    }

    private static List<Process> Find(string commandLine) =>
        [.. Process.GetProcessesByName("sleep").Where(process => CommandLine(process.Id) == commandLine)];

    private static string CommandLine(int processId)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/cmdline").TrimEnd('\0').Replace('\0', ' ');
        }
        catch (IOException)
        {
            return "";
        }
    }
}

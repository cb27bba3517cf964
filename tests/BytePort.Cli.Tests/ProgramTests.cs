using System.Diagnostics;
using System.Runtime.InteropServices;
using BytePort.Cli.Tests.Fakes;

namespace BytePort.Cli.Tests;

/// <summary>The built program as a process of its own.</summary>
public sealed partial class ProgramTests
{
    private const int Interrupt = 2;   // SIGINT

    [Fact]
    public async Task Program_Version_IsPrinted()
    {
        var (code, output, _) = await RunAsync(null, "--version");

        Assert.Equal(0, code);
        Assert.Matches(@"^\d+\.\d+\.\d+", output);
    }

    [Fact]
    public async Task Program_UnknownCommand_SuggestsAndExitsTwo()
    {
        var (code, output, error) = await RunAsync(null, "depoly");

        Assert.Equal(2, code);
        Assert.Contains("deploy", output + error, StringComparison.Ordinal);
        Assert.DoesNotContain("machines", output + error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Program_Suggest_CompletesCommandsAndOptions()
    {
        Assert.Equal("deploy\ndeployments\ndestroy\n", (await RunAsync(null, "[suggest:11]", "byteport de")).Out);
        Assert.Contains("--project\n", (await RunAsync(null, "[suggest:18]", "byteport deploy --p")).Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public async Task Program_Completion_NamesTheProgram(string shell)
    {
        var (code, output, _) = await RunAsync(null, "completion", shell);

        Assert.Equal(0, code);
        Assert.Contains("[suggest:", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Program_BashCompletion_Completes()
    {
        var script = $"set -euo pipefail; source <('{ProgramPath}' completion bash); COMP_WORDS=('{ProgramPath}' proj) COMP_CWORD=1 COMP_LINE='byteport proj' COMP_POINT=13; _byteport; echo \"${{COMPREPLY[*]}}\"";
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-c", script]) { RedirectStandardOutput = true })!;

        Assert.Equal("projects\n", await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Program_InterruptedDeploy_CancelsAndExits130()
    {
        await using var server = new FakeServer();
        server.Deploys(FakePlatform.Deployment("canceled"));
        var running = new TaskCompletionSource();
        var canceled = new TaskCompletionSource();
        server.On($"POST {FakePlatform.DeploymentPath}/cancel", (context, _) =>
        {
            canceled.SetResult();
            return FakeServer.WriteJsonAsync(context, FakePlatform.Deployment("building"), 202);
        });
        server.On($"GET {FakePlatform.DeploymentPath}/logs", async (context, _) =>
        {
            await FakeServer.WriteEventAsync(context, "log", FakePlatform.Line(1, "one"), 1);
            running.SetResult();
            await canceled.Task;
            await FakeServer.WriteEventAsync(context, "end", new { });
        });

        using var process = Start(server, "deploy", "https://example.org/shop.git");
        await running.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(0, Kill(process.Id, Interrupt));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(130, process.ExitCode);
        Assert.Contains($"POST {FakePlatform.DeploymentPath}/cancel", server.Asked);
    }

    private static string ProgramPath => Path.Combine(AppContext.BaseDirectory, "byteport");

    private static Process Start(FakeServer? server, params string[] arguments)
    {
        var start = new ProcessStartInfo(ProgramPath, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["BYTEPORT_URL"] = server?.Url ?? "http://127.0.0.1:1";
        start.Environment["BYTEPORT_TOKEN"] = "secret-token";
        return Process.Start(start)!;
    }

    private static async Task<(int Code, string Out, string Error)> RunAsync(FakeServer? server, params string[] arguments)
    {
        using var process = Start(server, arguments);
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>kill(2): 0, or -1 with errno.</summary>
    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}

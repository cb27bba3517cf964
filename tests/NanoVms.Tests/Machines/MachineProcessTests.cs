using System.Text;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

/// <summary>Processes, services and files of a real machine by its public face.</summary>
public sealed class MachineProcessTests
{
    [Fact]
    public async Task Machine_TerminalsServicesAndFiles_Work()
    {
        var cancel = new CancellationTokenSource(TimeSpan.FromSeconds(120)).Token;
        var folder = Directory.CreateTempSubdirectory("machine-files").FullName;
        await using var host = await TestHost.OpenAsync();
        var machine = await host.StartAsync(
            "echo main; exec sleep 1000",
            spec => spec with
            {
                ReadOnlyRoot = true,
                BeforeShutdown = [new HookSpec(TestHost.Shell("echo hook runs > /dev/kmsg; echo hook > /tmp/hook; sleep 0.2"), TimeSpan.FromSeconds(10))],
            },
            cancel);
        await AssertTerminalAsync(machine, cancel);
        await AssertServiceAsync(machine, cancel);
        await AssertFilesAsync(machine, folder, cancel);
        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.SignalServiceAsync("none", 15, cancel));
        Assert.Contains(machine.Id, refused.Message, StringComparison.Ordinal);

        // The hook is seen to run by who follows it, before the main process gets its signal.
        await machine.StartServiceAsync("before-shutdown-1", TestHost.Shell("sleep 1000"), cancel);
        var process = await machine.ExecAsync(TestHost.Shell("while [ ! -e /tmp/hook ]; do sleep 0.05; done; echo seen"), cancel);
        var reading = ReadAsync(process, cancel);
        await machine.StopAsync(TimeSpan.FromSeconds(20), cancel);
        Assert.Equal("seen\n", await reading);
        Assert.Equal(MachineState.Stopped, machine.State);
        Assert.Empty(await host.LeftoversAsync());
        Directory.Delete(folder, recursive: true);
    }

    private static async Task AssertTerminalAsync(Machine machine, CancellationToken cancel)
    {
        await using var process = await machine.ExecAsync(
            new ProcessSpec { Command = ["/bin/sh"], Terminal = new TerminalSize(80, 25), Environment = new Dictionary<string, string> { ["PS1"] = "" } }, cancel);
        Assert.True(await process.WriteAsync("echo $((6*7)) $(uname)\nexit 3\n"u8.ToArray(), cancel));
        Assert.Contains("42 Linux\r\n", await ReadAsync(process, cancel), StringComparison.Ordinal);
        Assert.Equal(3, (await process.Exited).ExitCode);
    }

    private static async Task AssertServiceAsync(Machine machine, CancellationToken cancel)
    {
        await machine.StartServiceAsync("echoer", TestHost.Shell("while read line; do echo got $line; done") with { HasInput = true }, cancel);
        await using var attached = await machine.AttachAsync("echoer", 0, cancel);
        await attached.WriteAsync("one\ntwo\n"u8.ToArray(), cancel);
        await attached.CloseInputAsync(cancel);
        Assert.Equal("got one\ngot two\n", await ReadAsync(attached, cancel));
        Assert.Equal(["main", "echoer"], (await machine.GetServicesAsync(cancel)).Select(s => s.Name));
        await using var main = await machine.AttachAsync("main", 0, cancel);
        await foreach (var chunk in main.ReadOutputAsync(cancel))
        {
            Assert.Equal("main\n", Encoding.UTF8.GetString(chunk.Data.Span));
            break;
        }
    }

    private static async Task AssertFilesAsync(Machine machine, string folder, CancellationToken cancel)
    {
        Directory.CreateDirectory($"{folder}/in/sub");
        var bytes = new byte[2_000_003];
        Random.Shared.NextBytes(bytes);
        await File.WriteAllBytesAsync($"{folder}/in/sub/bytes", bytes, cancel);
        await machine.CopyInAsync($"{folder}/in", "/tmp/there", 7, 8, cancel);
        var result = await machine.CopyOutAsync("/tmp/there", $"{folder}/out", new CopyLimits(), cancel);
        Assert.Equal(bytes, await File.ReadAllBytesAsync($"{folder}/out/sub/bytes", cancel));
        Assert.Equal(3, result.Entries);
        var failure = await Assert.ThrowsAsync<MachineException>(() => machine.CopyInAsync($"{folder}/in", "/bin/there", 0, 0, cancel));
        Assert.Contains("read-only", failure.Message, StringComparison.Ordinal);
        failure = await Assert.ThrowsAsync<MachineException>(() => machine.CopyOutAsync("/tmp/there", $"{folder}/small", new CopyLimits(1000), cancel));
        Assert.Contains("1000 bytes", failure.Message, StringComparison.Ordinal);
    }

    private static async Task<string> ReadAsync(GuestProcess process, CancellationToken cancel)
    {
        var text = new StringBuilder();
        try
        {
            await foreach (var chunk in process.ReadOutputAsync(cancel))
                text.Append(Encoding.UTF8.GetString(chunk.Data.Span));
        }
        catch (MachineException)
        {
            // The machine ended under it.
        }

        return text.ToString();
    }
}

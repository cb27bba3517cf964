using System.Diagnostics;
using System.Globalization;
using NanoVms.Commands;
using NanoVms.Tests.Agent;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Chaos;

/// <summary>
/// A host that is killed right after each command by which it changes the computer: bridges, cards, rules, disks, containers. Programs of
/// the same names that its own mount namespace alone has count the commands and end the host after the chosen one.
/// </summary>
[Collection(nameof(MachineHostTests))]
public sealed class CommandCutTests : IDisposable
{
    private static readonly string[] Programs = ["bridge", "crun", "ip", "mkfs.ext4", "nft", "nsenter", "sysctl", "tc"];
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-cut-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("container")]
    [InlineData("qemu")]
    public async Task Host_KilledAfterEachCommand_LeavesWholeMachinesOrNone(string driver)
    {
        await using var test = await TestHost.OpenAsync(await AgentBinary.PathAsync);
        // Nothing of the host is there, so that the commands that set its network up are cut as well.
        var all = await CutAsync(test, driver, int.MaxValue);
        Assert.InRange(all.Length, 8, 60);
        for (var i = 1; i <= all.Length; i++)
        {
            var done = await CutAsync(test, driver, i);
            await Survivors.OpenAsync(test, $"{i}: {done[^1]}");
            await Survivors.StopAsync(test, $"{i}: {done[^1]}");
        }
    }

    /// <summary>Returns the commands that were begun.</summary>
    /// <param name="last">The number of the one after which the host is killed.</param>
    private async Task<string[]> CutAsync(TestHost test, string driver, int last)
    {
        await test.DisposeAsync();
        var (log, pid, programs) = (Path.Combine(_folder, "log"), Path.Combine(_folder, "pid"), Path.Combine(_folder, "programs"));
        File.Delete(log);
        foreach (var program in Programs)
            Write(Path.Combine(Directory.CreateDirectory(programs).FullName, program), Script(ProgramLocator.Require(program), program, log, pid, last));
        using var child = Process.Start(new ProcessStartInfo(
            "unshare",
            [
                "--mount", "/bin/sh", "-c", $"mount --bind {programs} /usr/local/sbin && echo $$ >{pid} && exec \"$@\"", "sh",
                Path.ChangeExtension(typeof(CommandCutTests).Assembly.Location, null), .. ChaosChild.Arguments(test, driver, ["start", "stop"], _folder),
            ])
        {
            RedirectStandardOutput = true,
        })!;
        var output = await child.StandardOutput.ReadToEndAsync().WaitAsync(Limit);
        await child.WaitForExitAsync();
        Assert.Equal(last == int.MaxValue, output.EndsWith("end\n", StringComparison.Ordinal));
        return await File.ReadAllLinesAsync(log);
    }

    private static string Script(string program, string name, string log, string pid, int last) => $"""
        #!/bin/sh
        number=$(flock {log}.lock sh -c 'echo {name} >>{log}; wc -l <{log}')
        if [ "$number" -gt {last.ToString(CultureInfo.InvariantCulture)} ]; then exit 1; fi
        {program} "$@"
        code=$?
        if [ "$number" -eq {last.ToString(CultureInfo.InvariantCulture)} ]; then kill -9 "$(cat {pid})"; fi
        exit $code

        """;

    private static void Write(string path, string text)
    {
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
    }
}

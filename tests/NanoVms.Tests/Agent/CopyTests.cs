using System.Security.Cryptography;
using NanoVms.Agent;
using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent;

public sealed class CopyTests : IAsyncLifetime
{
    private static readonly CopyLimits Limits = new();

    private readonly string _folder = Directory.CreateTempSubdirectory("copy").FullName;
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
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Copy_InAndOut_IsTheSame()
    {
        var source = await MakeTreeAsync();
        await Files.CopyInAsync(source, $"{_folder}/guest/deep/down", 1234, 2_000_000_000, Cancel.After(30));
        Assert.Equal(await ListAsync(source), await ListAsync($"{_folder}/guest/deep/down"));
        Assert.Equal("1234 2000000000\n", (await RunAsync("stat", "-c", "%u %g", $"{_folder}/guest/deep/down/run")));

        var result = await Files.CopyOutAsync($"{_folder}/guest/deep/down", $"{_folder}/back", Limits, Cancel.After(30));
        Assert.Equal(await ListAsync(source), await ListAsync($"{_folder}/back"));
        Assert.Equal(3_000_001 + 3 + 3, result.Bytes);
        Assert.Empty(result.Skipped);
    }

    [Fact]
    public async Task CopyOutAsync_OneFile_TakesTheNameThatIsAsked()
    {
        await File.WriteAllTextAsync($"{_folder}/one", "text");
        File.CreateSymbolicLink($"{_folder}/link", "one");
        await Files.CopyOutAsync($"{_folder}/one", $"{_folder}/two", Limits, Cancel.After(20));
        await Files.CopyOutAsync($"{_folder}/link", $"{_folder}/three", Limits, Cancel.After(20));
        Assert.Equal("texttext", await File.ReadAllTextAsync($"{_folder}/two") + await File.ReadAllTextAsync($"{_folder}/three"));
        Assert.Null(new FileInfo($"{_folder}/three").LinkTarget);
        await Files.CopyInAsync($"{_folder}/one", $"{_folder}/link", 0, 0, Cancel.After(20));
        Assert.Null(new FileInfo($"{_folder}/link").LinkTarget);
    }

    [Theory]
    [InlineData("gnu")]
    [InlineData("ustar")]
    [InlineData("pax")]
    public async Task CopyInAsync_ArchiveOfTar_IsUnderstood(string format)
    {
        var source = await MakeTreeAsync(withLongest: format != "ustar");
        File.CreateSymbolicLink($"{source}/out", "/etc/passwd");
        await RunAsync("ln", $"{source}/run", $"{source}/second");
        await RunAsync("tar", "-c", $"--format={format}", "-f", $"{_folder}/tar", "-C", source, ".");
        await using (var archive = File.OpenRead($"{_folder}/tar"))
            await _connection.CopyInAsync(archive, $"{_folder}/guest", Cancel.After(30));
        Assert.Equal(await ListAsync(source), await ListAsync($"{_folder}/guest"));
        Assert.Equal("2\n", await RunAsync("stat", "-c", "%h", $"{_folder}/guest/run"));
    }

    [Fact]
    public async Task CopyOutAsync_Archive_IsUnderstoodByTar()
    {
        var source = await MakeTreeAsync();
        await RunAsync("mkfifo", $"{source}/pipe");
        await using (var archive = await _connection.CopyOutAsync(source, Cancel.After(30)))
        {
            await using var file = File.Create($"{_folder}/tar");
            await archive.CopyToAsync(file, Cancel.After(30));
        }

        Directory.CreateDirectory($"{_folder}/untarred");
        await RunAsync("tar", "-x", "-f", $"{_folder}/tar", "-C", $"{_folder}/untarred");
        File.Delete($"{source}/pipe");
        Assert.Equal(await ListAsync(source), await ListAsync($"{_folder}/untarred/tree"));
    }

    [Fact]
    public async Task CopyInAsync_LinksInTheGuest_DoNotLeadOutOfTheFolder()
    {
        Directory.CreateDirectory($"{_folder}/guest/real");
        Directory.CreateDirectory($"{_folder}/outside");
        File.CreateSymbolicLink($"{_folder}/guest/lib", "real");
        File.CreateSymbolicLink($"{_folder}/guest/up", "../outside");
        File.CreateSymbolicLink($"{_folder}/guest/absolute", $"{_folder}/outside");
        foreach (var name in (string[])["lib", "up", "absolute"])
        {
            Directory.CreateDirectory($"{_folder}/source-{name}/{name}");
            await File.WriteAllTextAsync($"{_folder}/source-{name}/{name}/file", name);
            await RunAsync("tar", "-c", "-f", $"{_folder}/tar", "-C", $"{_folder}/source-{name}", $"{name}/file");
            await using var archive = File.OpenRead($"{_folder}/tar");
            try
            {
                await _connection.CopyInAsync(archive, $"{_folder}/guest", Cancel.After(20));
            }
            catch (AgentException)
            {
                // Refused is as good as kept inside.
            }
        }

        Assert.True(File.Exists($"{_folder}/guest/real/file"));
        Assert.Empty(Directory.EnumerateFileSystemEntries($"{_folder}/outside"));
    }

    [Fact]
    public async Task Copy_WhatCannotBe_SaysWhyAndTheConnectionLives()
    {
        Directory.CreateDirectory($"{_folder}/dir/sub");
        await File.WriteAllTextAsync($"{_folder}/file", "text");
        await File.WriteAllTextAsync($"{_folder}/tar-cut", "text");
        await AssertFailsAsync("no such file", () => Files.CopyOutAsync("/no/such/file", $"{_folder}/x", Limits, Cancel.After(20)));
        await AssertFailsAsync("neither a file nor a folder", () => Files.CopyOutAsync("/dev/null", $"{_folder}/x", Limits, Cancel.After(20)));
        await AssertFailsAsync("not a directory", () => Files.CopyInAsync($"{_folder}/file", $"{_folder}/file/x", 0, 0, Cancel.After(20)));
        await AssertFailsAsync("cannot replace", () => Files.CopyInAsync($"{_folder}/file", $"{_folder}/dir/sub", 0, 0, Cancel.After(20)));
        await AssertFailsAsync("bytes", () => Files.CopyOutAsync($"{_folder}/file", $"{_folder}/x", new CopyLimits(3), Cancel.After(20)));
        await AssertFailsAsync("more than 2 entries", () => Files.CopyOutAsync(_folder, $"{_folder}/x", new CopyLimits(100, 2), Cancel.After(20)));
        await AssertFailsAsync("ends too early", () => _connection.CopyInAsync(new MemoryStream(), $"{_folder}/g", Cancel.After(20)));
        await AssertFailsAsync("no archive", () => _connection.CopyInAsync(new MemoryStream(new byte[512].Select(_ => (byte)'7').ToArray()), $"{_folder}/g", Cancel.After(20)));
        await Assert.ThrowsAsync<ArgumentException>(() => Files.CopyOutAsync("/a/../b", $"{_folder}/x", Limits, Cancel.After(20)));
        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(_connection, AgentConnectionTests.Shell("echo ok")));
    }

    [Fact]
    public async Task CopyOutAsync_NobodyReads_GuestWaits()
    {
        await using (var big = File.Create($"{_folder}/big"))
            big.SetLength(1L << 40);
        await using (var archive = await _connection.CopyOutAsync($"{_folder}/big", Cancel.After(20)))
        {
            var buffer = new byte[1000];
            await archive.ReadExactlyAsync(buffer, Cancel.After(20));
            await Task.Delay(300);
            var memory = File.ReadLines($"/proc/{_agent.Pid}/status").Single(l => l.StartsWith("VmRSS", StringComparison.Ordinal));
            Assert.InRange(int.Parse(memory.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], System.Globalization.CultureInfo.InvariantCulture), 1, 64 * 1024);
        }

        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(_connection, AgentConnectionTests.Shell("echo ok")));
    }

    private NanoVms.Agent.Copies.GuestFiles Files => _connection.Files(null);

    private static async Task AssertFailsAsync(string reason, Func<Task> action)
    {
        var failure = await Assert.ThrowsAsync<AgentException>(action);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    /// <summary>Kinds, names, sizes, modes, times, targets and contents.</summary>
    private static async Task<string> ListAsync(string folder) =>
        await RunAsync("sh", "-c", "cd \"$1\" && find . -printf '%P %y %s %m %l ' -a \\( -type f -printf '%Ts' -o -true \\) -a -printf '\\n' | sed 's/ d [0-9]*/ d/' | sort && find . -type f -exec sha256sum {} + | sort", "sh", folder);

    private static async Task<string> RunAsync(string program, params string[] arguments) =>
        (await CommandRunner.RunCheckedAsync(new Command(program, arguments), CancellationToken.None)).StandardOutput;

    private async Task<string> MakeTreeAsync(bool withLongest = true)
    {
        var tree = $"{_folder}/tree";
        Directory.CreateDirectory($"{tree}/empty");
        Directory.CreateDirectory($"{tree}/.hidden/ä ö/ü");
        await File.WriteAllBytesAsync($"{tree}/big", RandomNumberGenerator.GetBytes(3_000_001));
        await File.WriteAllTextAsync($"{tree}/run", "run");
        File.SetUnixFileMode($"{tree}/run", (UnixFileMode)0x1E9);
        await File.WriteAllTextAsync($"{tree}/nothing", "");
        File.SetLastWriteTimeUtc($"{tree}/nothing", new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        var longName = new string('n', withLongest ? 200 : 90);
        var path = Directory.CreateDirectory($"{tree}/{longName}/{longName[..90]}").FullName;
        await File.WriteAllTextAsync($"{path}/file", "end");
        File.CreateSymbolicLink($"{tree}/.hidden/ä ö/ü/link", withLongest ? $"../../../{longName}/{longName[..90]}/file" : "../../../run");
        File.CreateSymbolicLink($"{tree}/dangling", "nowhere");
        return tree;
    }
}

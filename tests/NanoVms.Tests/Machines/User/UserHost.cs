using System.Diagnostics;
using NanoVms.Commands;
using NanoVms.Tests.Network;

namespace NanoVms.Tests.Machines.User;

/// <summary>
/// An ordinary user of a computer: a network namespace that leads to the world, and in it <see cref="UserHostChild"/> without any right, which
/// sees what a usual computer's users see: a device for taps that everybody may open, and a file that names a name server.
/// </summary>
internal sealed class UserHost : IAsyncDisposable
{
    public const string User = "1899000001";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private readonly TestNamespace _computer;
    private Process? _child;

    private UserHost(string home, TestNamespace computer) => (Home, _computer) = (home, computer);

    public string Home { get; }

    public string Machines => Path.Combine(Home, "machines", "machines");

    /// <summary>The child's number.</summary>
    public int Id => _child!.Id;

    /// <param name="computer">Where it is.</param>
    /// <param name="nameServer">Its.</param>
    public static async Task<UserHost> OpenAsync(TestNamespace computer, string nameServer)
    {
        var home = Path.Combine(Path.GetTempPath(), $"nanovms-user-{Guid.NewGuid():N}"[..24]);
        _ = Directory.CreateDirectory(home);
        var boot = await TestBoot.Files;
        File.Copy(boot.KernelPath, Path.Combine(home, "vmlinux"));
        File.Copy(boot.InitramfsPath, Path.Combine(home, "initramfs"));
        File.Copy(await TestBoot.Layer, Path.Combine(home, "layer.erofs"));
        await File.WriteAllTextAsync(Path.Combine(home, "resolv.conf"), $"nameserver {nameServer}\n");
        // Programs may lie where only root may go.
        foreach (var folder in new[] { "tests", "dotnet" })
            _ = Directory.CreateDirectory(Path.Combine(home, folder));
        _ = await CommandRunner.RunCheckedAsync(new Command("chown", "-R", $"{User}:{User}", home), CancellationToken.None);
        return new UserHost(home, computer);
    }

    /// <summary>Starts a host; returns what it says of itself: its mode and the machines that it found.</summary>
    public async Task<string> StartAsync()
    {
        const string Script = """
            mount --make-rprivate /
            mount -t tmpfs -o mode=755 none /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun
            mount --bind "$1/resolv.conf" /etc/resolv.conf
            mount --bind "$2" "$1/tests"
            mount --bind "$3" "$1/dotnet"
            exec setpriv --reuid "$4" --regid "$4" --clear-groups --inh-caps=-all --bounding-set=-all \
              env HOME="$1" DOTNET_ROOT="$1/dotnet" "$1/tests/$5" "$6" "$1"
            """;
        var assembly = typeof(UserHost).Assembly.Location;
        var runtime = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
        _child = Process.Start(new ProcessStartInfo("nsenter", [
            $"--net=/run/netns/{_computer.Name}", "--", "unshare", "--mount", "--", "sh", "-ec", Script, "sh",
            Home, Path.GetDirectoryName(assembly)!, runtime, User, Path.GetFileNameWithoutExtension(assembly), UserHostChild.Verb])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        return await ReadAsync();
    }

    public async Task<string> AskAsync(string line)
    {
        await _child!.StandardInput.WriteLineAsync(line);
        return await ReadAsync();
    }

    /// <summary>Gives an order whose answer nobody waits for.</summary>
    public async Task TellAsync(string line)
    {
        await _child!.StandardInput.WriteLineAsync(line);
        await _child.StandardInput.FlushAsync();
    }

    /// <summary>As a crash would.</summary>
    public async Task KillAsync()
    {
        _child!.Kill();
        await _child.WaitForExitAsync();
        _child.Dispose();
        _child = null;
    }

    /// <summary>The user's processes beside the host.</summary>
    public IReadOnlyList<(int Id, string Arguments)> Processes() =>
    [
        .. Directory.EnumerateDirectories("/proc")
            .Select(path => (Id: int.TryParse(Path.GetFileName(path), out var id) ? id : 0, Path: path))
            .Where(found => found.Id != 0 && found.Id != _child?.Id && ReadOrEmpty(found.Path + "/status").Contains($"\nUid:\t{User}", StringComparison.Ordinal))
            .Select(found => (found.Id, ReadOrEmpty(found.Path + "/cmdline").Replace('\0', ' ')))
            // One that was not reaped yet has none.
            .Where(found => found.Item2.Length > 0),
    ];

    public async ValueTask DisposeAsync()
    {
        if (_child is not null)
            await KillAsync();
        foreach (var (id, _) in Processes())
            ProcessIdentity.Of(id)?.Signal(9);
        Directory.Delete(Home, recursive: true);
    }

    private async Task<string> ReadAsync() =>
        await _child!.StandardOutput.ReadLineAsync().WaitAsync(Limit) ?? throw new InvalidOperationException("The user's host ended.");

    private static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}

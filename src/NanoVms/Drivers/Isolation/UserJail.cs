using System.Globalization;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using NanoVms.Commands;

namespace NanoVms.Drivers.Isolation;

/// <summary>
/// Without root, by bubblewrap: the process is who this one is, but in a user namespace without any right, and sees no other process and of
/// the computer's files only what it needs to start, read-only. It has no way back to what this user may do.
/// </summary>
internal sealed partial class UserJail(TimeProvider time) : IJail
{
    private const string Program = "bwrap";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(1);
    private static readonly string[] Spaces = ["--unshare-user", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"];
    private readonly Lock _gate = new();
    private Task<string?>? _fault;

    public Task<string?> FindFaultAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_fault is null or { IsFaulted: true })
                _fault = TryAsync();
            return _fault.WaitAsync(cancellationToken);
        }
    }

    /// <remarks>
    /// Steps: 1 bubblewrap makes the namespaces and tells the process's number, 2 the network is made from outside, 3 the process goes on,
    /// as the first of its namespace. The one that waits for it outside is of no use and ended: the process outlives who started it.
    /// </remarks>
    public async Task<ProcessIdentity> StartAsync(
        JailPlan plan, Command command, (uint Id, uint? Group) user, IReadOnlyList<SafeHandle> handles, SafeHandle error, Func<ProcessIdentity, Task> connect)
    {
        // 1
        await using var told = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.None);
        await using var going = new AnonymousPipeServerStream(PipeDirection.Out, HandleInheritability.None);
        var numbers = DetachedProcess.NumbersFor(handles);
        // The pipes first, at numbers above all others: what is copied next to a pipe's old number finds it copied already.
        SafeHandle[] pipes = [told.ClientSafePipeHandle, going.ClientSafePipeHandle];
        var free = numbers.Concat(pipes.Concat(handles).Select(handle => (int)handle.DangerousGetHandle())).Max() + 1;
        var outer = DetachedProcess.Start(Build(plan, command, free, free + 1), [.. pipes, .. handles], [free, free + 1, .. numbers], error);
        told.DisposeLocalCopyOfClientHandle();
        going.DisposeLocalCopyOfClientHandle();
        ProcessIdentity? process = null;
        try
        {
            using var limit = new CancellationTokenSource(StartLimit, time);
            process = await ReadProcessAsync(told, limit.Token)
                ?? throw new CommandException("bubblewrap did not make the namespaces of a machine.", Program, CommandFailure.NotStarted);
            await WaitForUserAsync(process, limit.Token);

            // 2
            await connect(process);

            // 3
            await outer.KillAsync(time, CancellationToken.None);
            await going.WriteAsync("+"u8.ToArray(), limit.Token);
            return process;
        }
        catch (Exception e)
        {
            await outer.KillAsync(time, CancellationToken.None);
            if (process is not null)
                await process.KillAsync(time, CancellationToken.None);
            if (e is OperationCanceledException or IOException)
                throw new CommandException($"bubblewrap did not start a machine: {e.Message}", Program, CommandFailure.NotStarted, inner: e);
            throw;
        }
    }

    /// <summary>Nothing: who has no rights may not change the process's mounts, which are read-only and hold nobody's files.</summary>
    public Task StripAsync(ProcessIdentity process) => Task.CompletedTask;

    /// <param name="told">File number at which it tells the process's number.</param>
    /// <param name="going">File number that it reads from before it runs the command.</param>
    internal static Command Build(JailPlan plan, Command command, int told, int going)
    {
        List<string> arguments =
        [
            .. Spaces, "--hostname", "machine",
            // Nobody outside: the one user of the namespace, without a right in it.
            "--uid", "0", "--gid", "0", "--cap-drop", "ALL", "--as-pid-1",
            "--clearenv", "--setenv", "PATH", ProgramLocator.SearchPath, "--setenv", "LANG", "C.UTF-8",
            "--info-fd", told.ToString(CultureInfo.InvariantCulture), "--block-fd", going.ToString(CultureInfo.InvariantCulture),
        ];
        foreach (var path in Jail.Libraries.Concat(plan.Files).Append(ProgramLocator.Require(command.Program)).Distinct())
        {
            if (path.LastIndexOf('/') == 0 && Directory.Exists(path) && new DirectoryInfo(path).LinkTarget is { } target)
                arguments.AddRange(["--symlink", target, path]);
            else
                arguments.AddRange(["--ro-bind-try", path, path]);
        }

        foreach (var device in plan.Devices.Prepend("/dev/null").Prepend("/dev/urandom"))
            arguments.AddRange(["--dev-bind-try", device, device]);
        arguments.AddRange(["--proc", "/proc", "--remount-ro", "/", "--chdir", "/", "--", ProgramLocator.Require(command.Program), .. command.Arguments]);
        return command with { Program = Program, Arguments = arguments };
    }

    private static async Task<ProcessIdentity?> ReadProcessAsync(Stream told, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var buffer = new byte[1024];
        int read;
        while ((read = await told.ReadAsync(buffer, cancellationToken)) > 0)
        {
            _ = text.Append(Encoding.ASCII.GetString(buffer, 0, read));
            // With what follows the number, so that it is whole.
            if (ChildProcess().Match(text.ToString()) is { Success: true } match)
                return ProcessIdentity.Of(int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
        }

        return null;
    }

    /// <summary>Only once the namespace has its user, which the process makes itself, does who enters it have rights there.</summary>
    private async Task WaitForUserAsync(ProcessIdentity process, CancellationToken cancellationToken)
    {
        foreach (var map in new[] { "uid_map", "gid_map" })
        {
            while ((await File.ReadAllTextAsync(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/{map}"), cancellationToken)).Length == 0)
                await Task.Delay(Poll, time, cancellationToken);
        }
    }

    private static async Task<string?> TryAsync()
    {
        try
        {
            var command = new Command(Program, [.. Spaces, "--uid", "0", "--gid", "0", "--ro-bind", "/", "/", "--proc", "/proc", "--", ProgramLocator.Require("true")])
            {
                Timeout = StartLimit,
            };
            var result = await CommandRunner.RunAsync(command, CancellationToken.None);
            return result.Succeeded
                ? null
                : $"Without root, machines take user namespaces, and this computer refuses them to this user: {result.StandardError.Trim()} Allow them as root (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run as root.";
        }
        catch (CommandException e)
        {
            return $"Without root, machines take bubblewrap. {e.Message}";
        }
    }

    [GeneratedRegex("\"child-pid\": ?([0-9]+)[^0-9]")]
    private static partial Regex ChildProcess();
}

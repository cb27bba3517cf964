using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>
/// Starts programs by posix_spawn: managed code cannot fork. The user is changed by lending this thread the user's identity for the
/// moment of the spawn: Linux keeps identities per thread, and exec turns what the child inherits into a complete drop, because
/// effective becomes saved and no capability outlives a change to a user that is not root.
/// </summary>
internal static unsafe class Spawner
{
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private const string SacrificeScore = "500";

    // Flags of posix_spawnattr_setflags: SETSIGDEF, SETSIGMASK, SETSID.
    private const short SpawnFlags = 0x04 | 0x08 | 0x80;

    private static readonly Account Root = new(0, 0, [], null);

    // Both opaque types of spawn.h and sigset_t are smaller.
    private const int OpaqueSize = 512;

    /// <summary>Starts the program in a session of its own. Without input or terminal it reads /dev/null.</summary>
    /// <returns>The child; or, when there is no such program, the shell's exit code for that and a line for people.</returns>
    /// <exception cref="AgentFailure">It could not be started for a reason that is not the program's.</exception>
    public static (Child? Child, int ExitCode, string Reason) Spawn(ProcessSpec spec)
    {
        var (path, code, reason) = Resolve(spec);
        if (path is null)
            return (null, code, reason);
        var (account, unknown) = Account.Of(spec);
        if (account is null)
            return (null, 126, unknown);
        var ends = ChildEnds.Open(spec, account.User);
        try
        {
            var pid = 0;
            var error = SpawnAs(spec, path, account, ends, &pid);
            if (error == 0)
            {
                ends.CloseTheirs();
                // When memory runs out a program goes, not the agent, which may be the largest of many small ones.
                Files.TryWrite(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/oom_score_adj"), SacrificeScore);
                return (new Child(pid, ends), 0, "");
            }

            ends.Close();
            return error switch
            {
                Errno.ENOENT => (null, 127, $"{path}: the interpreter that its first line or its ELF header names is missing"),
                Errno.EACCES or Errno.ENOEXEC or Errno.E2BIG or Errno.ENOTDIR => (null, 126, $"{path}: {Errno.Describe(error)}"),
                _ => throw new AgentFailure($"cannot start {path}: {Errno.Describe(error)}"),
            };
        }
        catch
        {
            ends.Close();
            throw;
        }
    }

    private static (string? Path, int Code, string Reason) Resolve(ProcessSpec spec)
    {
        if (spec.Command.Count == 0 || spec.Command[0].Length == 0)
            throw new AgentFailure("the command is empty");
        if (!Files.IsDirectory(spec.WorkingDirectory))
            return (null, 127, $"the working folder {spec.WorkingDirectory} is not there");
        var program = spec.Command[0];
        if (program.Contains('/'))
        {
            var full = program[0] == '/' ? program : $"{spec.WorkingDirectory}/{program}";
            if (!Files.Exists(full))
                return (null, 127, $"{program}: no such file");
            return Files.IsExecutable(full) ? (full, 0, "") : (null, 126, $"{program}: not executable");
        }

        var path = spec.Environment.GetValueOrDefault("PATH", DefaultPath);
        var refused = false;
        foreach (var folder in path.Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            var candidate = folder[0] == '/' ? $"{folder}/{program}" : $"{spec.WorkingDirectory}/{folder}/{program}";
            if (Files.IsExecutable(candidate))
                return (candidate, 0, "");
            refused |= Files.Exists(candidate) && !Files.IsDirectory(candidate);
        }

        return refused
            ? (null, 126, $"{program}: not executable")
            : (null, 127, $"{program}: command not found in {path}");
    }

    private static int SpawnAs(ProcessSpec spec, string path, Account account, ChildEnds ends, int* pid)
    {
        byte* actions = stackalloc byte[OpaqueSize], attributes = stackalloc byte[OpaqueSize], signals = stackalloc byte[OpaqueSize];
        var limited = spec.Limits.Count > 0;
        var arguments = Strings(limited ? Launcher.Arguments(spec, path, account) : spec.Command);
        var variables = Strings(Environment(spec, account));
        // SAFETY: the opaque values are initialised before and destroyed after use; every pointer outlives the spawn, which copies.
        _ = Libc.SpawnActionsInit(actions);
        _ = Libc.SpawnAttributesInit(attributes);
        try
        {
            fixed (byte* input = Files.Path(ends.TerminalPath ?? "/dev/null"),
                folder = Files.Path(spec.WorkingDirectory),
                name = Files.Path(limited ? Launcher.Self : path))
            {
                AddStreams(actions, ends, input);
                _ = Libc.SpawnActionsChangeDirectory(actions, folder);
                _ = Libc.SpawnAttributesSetFlags(attributes, SpawnFlags);
                new Span<byte>(signals, OpaqueSize).Clear();
                _ = Libc.SpawnAttributesSetSignalMask(attributes, signals);
                _ = Libc.FillSignalSet(signals);
                _ = Libc.SpawnAttributesSetDefaultSignals(attributes, signals);
                // The launcher drops to the user itself, as only root may raise limits.
                if (account.IsRoot || limited)
                    return Libc.Spawn(pid, name, actions, attributes, arguments, variables);
                try
                {
                    Become(account);
                    return Libc.Spawn(pid, name, actions, attributes, arguments, variables);
                }
                finally
                {
                    Become(Root);
                }
            }
        }
        finally
        {
            _ = Libc.SpawnActionsDestroy(actions);
            _ = Libc.SpawnAttributesDestroy(attributes);
            Free(arguments);
            Free(variables);
        }
    }

    /// <summary>The leader of a new session gets the first terminal that it opens as its controlling one.</summary>
    private static void AddStreams(byte* actions, ChildEnds ends, byte* input)
    {
        if (ends.TheirInput >= 0)
            _ = Libc.SpawnActionsDup(actions, ends.TheirInput, 0);
        else
            _ = Libc.SpawnActionsOpen(actions, 0, input, ends.IsTerminal ? Libc.O_RDWR : Libc.O_RDONLY, 0);
        _ = Libc.SpawnActionsDup(actions, ends.IsTerminal ? 0 : ends.TheirOutput, 1);
        _ = Libc.SpawnActionsDup(actions, ends.IsTerminal ? 0 : ends.TheirErrors, 2);
    }

    private static List<string> Environment(ProcessSpec spec, Account account)
    {
        var environment = new List<string>(spec.Environment.Count + 3);
        if (!spec.Environment.ContainsKey("PATH"))
            environment.Add("PATH=" + DefaultPath);
        if (account.Home is { } home && !spec.Environment.ContainsKey("HOME"))
            environment.Add("HOME=" + home);
        if (spec.Terminal is not null && !spec.Environment.ContainsKey("TERM"))
            environment.Add("TERM=xterm-256color");
        foreach (var (name, value) in spec.Environment)
            environment.Add($"{name}={value}");
        return environment;
    }

    /// <summary>Changes this thread alone (the C library's own functions would change all), keeping root as the saved identity.</summary>
    private static void Become(Account account)
    {
        // The user first on the way back, last on the way there: only root may change groups.
        var failed = account.User == 0
            ? Call(Libc.SYS_SETRESUID, 0) || Call(Libc.SYS_SETRESGID, account.Group) || SetGroups(account.Others)
            : SetGroups(account.Others) || Call(Libc.SYS_SETRESGID, account.Group) || Call(Libc.SYS_SETRESUID, account.User);
        if (failed)
            throw AgentFailure.Of($"cannot become user {account.User} and group {account.Group}");

        static bool Call(nint number, uint identity) => Libc.SystemCall(number, (nint)identity, (nint)identity, 0) != 0;
    }

    private static bool SetGroups(uint[] groups)
    {
        // SAFETY: the count is the array's.
        fixed (uint* first = groups)
            return Libc.SystemCall(Libc.SYS_SETGROUPS, groups.Length, (nint)first, 0) != 0;
    }

    /// <summary>As C wants an array of texts. Freed by <see cref="Free"/>.</summary>
    public static byte** Strings(IReadOnlyList<string> texts)
    {
        // SAFETY: freed by Free; the array ends in a null, each text in a zero.
        var array = (byte**)NativeMemory.AllocZeroed((nuint)(texts.Count + 1), (nuint)sizeof(byte*));
        for (var i = 0; i < texts.Count; i++)
        {
            var length = Encoding.UTF8.GetByteCount(texts[i]);
            array[i] = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
            Encoding.UTF8.GetBytes(texts[i], new Span<byte>(array[i], length));
        }

        return array;
    }

    private static void Free(byte** texts)
    {
        // SAFETY: made by Strings.
        for (var text = texts; *text is not null; text++)
            NativeMemory.Free(*text);
        NativeMemory.Free(texts);
    }
}

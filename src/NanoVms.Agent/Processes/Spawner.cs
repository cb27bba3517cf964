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

    // Flags of posix_spawnattr_setflags: SETSIGDEF, SETSIGMASK, SETSID.
    private const short SpawnFlags = 0x04 | 0x08 | 0x80;

    // Both opaque types of spawn.h and sigset_t are smaller.
    private const int OpaqueSize = 512;

    /// <summary>Starts the program, with /dev/null for its input, in a session of its own.</summary>
    /// <returns>The child; or, when there is no such program, the shell's exit code for that and a line for people.</returns>
    /// <exception cref="AgentFailure">It could not be started for a reason that is not the program's.</exception>
    public static (Child? Child, int ExitCode, string Reason) Spawn(ProcessSpec spec)
    {
        var (path, code, reason) = Resolve(spec);
        if (path is null)
            return (null, code, reason);
        var ends = stackalloc int[4];
        // SAFETY: each call fills two of the four.
        if (Libc.Pipe2(ends, Libc.O_CLOEXEC) != 0)
            throw AgentFailure.Of("cannot make a pipe");
        if (Libc.Pipe2(ends + 2, Libc.O_CLOEXEC) != 0)
        {
            Close(ends, 2);
            throw AgentFailure.Of("cannot make a pipe");
        }

        int error;
        var pid = 0;
        try
        {
            error = SpawnAs(spec, path, ends[1], ends[3], &pid);
        }
        catch
        {
            Close(ends, 4);
            throw;
        }

        _ = Libc.Close(ends[1]);
        _ = Libc.Close(ends[3]);
        if (error == 0)
            return (new Child(pid, NonBlocking(ends[0]), NonBlocking(ends[2])), 0, "");
        _ = Libc.Close(ends[0]);
        _ = Libc.Close(ends[2]);
        return error switch
        {
            Errno.ENOENT => (null, 127, $"{path}: the interpreter that its first line or its ELF header names is missing"),
            Errno.EACCES or Errno.ENOEXEC or Errno.E2BIG or Errno.ENOTDIR => (null, 126, $"{path}: {Errno.Describe(error)}"),
            _ => throw new AgentFailure($"cannot start {path}: {Errno.Describe(error)}"),
        };
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

    private static int SpawnAs(ProcessSpec spec, string path, int output, int errors, int* pid)
    {
        var environment = new List<string>(spec.Environment.Count + 1);
        if (!spec.Environment.ContainsKey("PATH"))
            environment.Add("PATH=" + DefaultPath);
        foreach (var (name, value) in spec.Environment)
            environment.Add($"{name}={value}");
        byte* actions = stackalloc byte[OpaqueSize], attributes = stackalloc byte[OpaqueSize], signals = stackalloc byte[OpaqueSize];
        var arguments = Strings(spec.Command);
        var variables = Strings(environment);
        // SAFETY: the opaque values are initialised before and destroyed after use; every pointer outlives the spawn, which copies.
        _ = Libc.SpawnActionsInit(actions);
        _ = Libc.SpawnAttributesInit(attributes);
        try
        {
            fixed (byte* nothing = "/dev/null\0"u8, folder = Files.Path(spec.WorkingDirectory), name = Files.Path(path))
            {
                _ = Libc.SpawnActionsOpen(actions, 0, nothing, Libc.O_RDONLY, 0);
                _ = Libc.SpawnActionsDup(actions, output, 1);
                _ = Libc.SpawnActionsDup(actions, errors, 2);
                _ = Libc.SpawnActionsChangeDirectory(actions, folder);
                _ = Libc.SpawnAttributesSetFlags(attributes, SpawnFlags);
                new Span<byte>(signals, OpaqueSize).Clear();
                _ = Libc.SpawnAttributesSetSignalMask(attributes, signals);
                _ = Libc.FillSignalSet(signals);
                _ = Libc.SpawnAttributesSetDefaultSignals(attributes, signals);
                if (spec.User == 0 && spec.Group == 0)
                    return Libc.Spawn(pid, name, actions, attributes, arguments, variables);
                try
                {
                    Become(spec.User, spec.Group);
                    return Libc.Spawn(pid, name, actions, attributes, arguments, variables);
                }
                finally
                {
                    Become(0, 0);
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

    /// <summary>Changes this thread alone (the C library's own functions would change all), keeping root as the saved identity.</summary>
    private static void Become(uint user, uint group)
    {
        // The user first on the way back, last on the way there: only root may change groups.
        var failed = user == 0
            ? Call(Libc.SYS_SETRESUID, 0, 0) || Call(Libc.SYS_SETRESGID, group, 0) || Call(Libc.SYS_SETGROUPS, 0, 0)
            : Call(Libc.SYS_SETGROUPS, 0, 0) || Call(Libc.SYS_SETRESGID, group, 0) || Call(Libc.SYS_SETRESUID, user, 0);
        if (failed)
            throw AgentFailure.Of($"cannot become user {user} and group {group}");

        static bool Call(nint number, uint identity, uint saved) =>
            Libc.SystemCall(number, (nint)identity, (nint)identity, (nint)saved) != 0;
    }

    private static byte** Strings(IReadOnlyList<string> texts)
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

    private static void Close(int* fds, int count)
    {
        for (var i = 0; i < count; i++)
            _ = Libc.Close(fds[i]);
    }

    /// <summary>Our end of a pipe only: the program's end keeps blocking, as programs expect.</summary>
    private static int NonBlocking(int fd)
    {
        var on = 1;
        // SAFETY: FIONBIO reads an int.
        _ = Libc.IoControl(fd, 0x5421, &on);
        return fd;
    }
}

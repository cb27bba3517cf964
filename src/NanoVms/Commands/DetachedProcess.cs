using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;

namespace NanoVms.Commands;

/// <summary>
/// Starts programs that outlive this process: in a session of their own, with default signals, an empty environment
/// but PATH, and exactly the open files that they are given.
/// </summary>
/// <remarks>
/// System.Diagnostics.Process can pass no open files and starts no session. Files are passed so that a program without
/// any rights of its own can use what only root may open. They keep close-on-exec here, so no other child gets them.
/// </remarks>
internal static unsafe partial class DetachedProcess
{
    // glibc: sizeof(posix_spawnattr_t) is 336, sizeof(posix_spawn_file_actions_t) 80, sizeof(sigset_t) 128.
    private const int StructureSize = 1024;
    private const short SetSignalDefaults = 0x04;
    private const short SetSignalMask = 0x08;
    private const short SetSession = 0x80;
    private const int NoHang = 1;
    private const int KillSignal = 9;

    /// <summary>The file numbers that the handles will have in the program, in their order.</summary>
    public static int[] NumbersFor(IReadOnlyList<SafeHandle> handles)
    {
        // Above every source, so that copying one never overwrites another that is still to be copied.
        var first = handles.Count == 0 ? 3 : handles.Max(h => (int)h.DangerousGetHandle()) + 1;
        return [.. Enumerable.Range(Math.Max(first, 3), handles.Count)];
    }

    /// <param name="handles">Open in the program under <see cref="NumbersFor"/>'s numbers; the caller keeps and closes its own.</param>
    /// <param name="error">The program's standard output and error.</param>
    /// <exception cref="CommandException">The program is missing or the kernel refused to start it.</exception>
    public static ProcessIdentity Start(Command command, IReadOnlyList<SafeHandle> handles, SafeHandle error) =>
        Start(command, handles, NumbersFor(handles), error);

    /// <summary>The same with numbers that the caller chose: given one after the other, so that none may be the source of a later one.</summary>
    public static ProcessIdentity Start(Command command, IReadOnlyList<SafeHandle> handles, int[] numbers, SafeHandle error)
    {
        // One that ends at once is told apart by whoever waits for it, who can say what it wrote.
        return ProcessIdentity.OfChild(Spawn(command, handles, numbers, null, error));
    }

    /// <summary>
    /// Runs a program that only starts others which outlive it. Blocks until it has ended, or kills it when the command's time is up.
    /// It inherits what is the calling thread's alone, such as its mounts.
    /// </summary>
    /// <param name="file">Open in the program as number 3.</param>
    /// <param name="streams">The program's standard input, output and error.</param>
    /// <returns>The exit code; 128 and the signal's number when it was killed.</returns>
    /// <exception cref="CommandException">The program is missing, was refused, or did not end in time.</exception>
    public static int Run(Command command, SafeHandle file, SafeHandle streams)
    {
        var id = Spawn(command, [file], [3], streams, streams);
        var started = Environment.TickCount64;
        int status;
        while (WaitPid(id, &status, NoHang) == 0)
        {
            if (Environment.TickCount64 - started > command.Timeout.TotalMilliseconds)
            {
                _ = SendSignal(id, KillSignal);
                _ = WaitPid(id, &status, 0);
                throw new CommandException($"'{command}' did not end in {command.Timeout.TotalSeconds:0} seconds and was killed.", command.Program, CommandFailure.TimedOut);
            }

            Thread.Sleep(1);
        }

        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
    }

    /// <summary>Everything that starting takes, so that <see cref="Prepared.TryStart"/> is one call of the C library.</summary>
    /// <exception cref="CommandException">The program is missing.</exception>
    /// <param name="folder">Its working folder, as it sees it; null for the root.</param>
    public static Prepared Prepare(Command command, IReadOnlyList<SafeHandle> handles, SafeHandle error, string? folder = null) =>
        new(command, handles, NumbersFor(handles), null, error, folder);

    private static int Spawn(Command command, IReadOnlyList<SafeHandle> handles, int[] numbers, SafeHandle? input, SafeHandle error)
    {
        using var prepared = new Prepared(command, handles, numbers, input, error);
        Check(prepared.TryStart(out var id), command);
        return id;
    }

    /// <summary>A program that is ready to be started. What it is handed must stay open until it is.</summary>
    internal sealed class Prepared : IDisposable
    {
        private readonly NativeStrings _arguments;
        private readonly NativeStrings _environment;
        private readonly IReadOnlyList<SafeHandle> _handles;
        private readonly void* _actions = NativeMemory.AllocZeroed(StructureSize);
        private readonly void* _attributes = NativeMemory.AllocZeroed(StructureSize);
        private readonly void* _signals = NativeMemory.AllocZeroed(StructureSize);

        public Prepared(Command command, IReadOnlyList<SafeHandle> handles, int[] numbers, SafeHandle? input, SafeHandle error, string? folder = null)
        {
            _handles = handles;
            _arguments = new NativeStrings([ProgramLocator.Require(command.Program), .. command.Arguments]);
            _environment = new NativeStrings([$"PATH={ProgramLocator.SearchPath}", "LANG=C.UTF-8"]);
            // SAFETY: the three blocks are larger than glibc's and musl's structures and live as long as this object;
            // strings are NUL-terminated and the arrays NULL-terminated.
            Check(FileActionsInit(_actions), command);
            Check(AttributesInit(_attributes), command);
            Check(input is null ? AddOpen(_actions, 0, "/dev/null", 0, 0) : AddDuplicate(_actions, (int)input.DangerousGetHandle(), 0), command);
            Check(AddDuplicate(_actions, (int)error.DangerousGetHandle(), 1), command);
            Check(AddDuplicate(_actions, (int)error.DangerousGetHandle(), 2), command);
            for (var i = 0; i < handles.Count; i++)
                Check(AddDuplicate(_actions, (int)handles[i].DangerousGetHandle(), numbers[i]), command);
            Check(AddChangeDirectory(_actions, folder ?? "/"), command);
            Check(SetMask(_attributes, _signals), command);
            _ = FillSignals(_signals);
            Check(SetDefaults(_attributes, _signals), command);
            Check(SetFlags(_attributes, SetSignalDefaults | SetSignalMask | SetSession), command);
        }

        /// <summary>0, or an error number. Nothing but the call: the thread may have lost its files.</summary>
        public int TryStart(out int id)
        {
            int started;
            // SAFETY: prepared above.
            var error = PosixSpawn(&started, _arguments.Pointer[0], _actions, _attributes, _arguments.Pointer, _environment.Pointer);
            id = started;
            GC.KeepAlive(_handles);
            return error;
        }

        public void Dispose()
        {
            _ = FileActionsDestroy(_actions);
            _ = AttributesDestroy(_attributes);
            NativeMemory.Free(_actions);
            NativeMemory.Free(_attributes);
            NativeMemory.Free(_signals);
            _arguments.Dispose();
            _environment.Dispose();
        }
    }

    /// <summary>Makes the C library's functions known, which takes files the first time.</summary>
    public static void WarmUp()
    {
        int id;
        byte none = 0;
        byte* nothing = null;
        // SAFETY: a program without a name is refused; nothing is started.
        _ = PosixSpawn(&id, &none, null, null, &nothing, &nothing);
    }

    internal static void Check(int errorNumber, Command command)
    {
        if (errorNumber != 0)
        {
            throw new CommandException(
                $"Cannot start '{command}': {new Win32Exception(errorNumber).Message}.", command.Program, CommandFailure.NotStarted);
        }
    }

    /// <summary>A NULL-terminated array of NUL-terminated UTF-8 strings.</summary>
    private sealed class NativeStrings : IDisposable
    {
        public NativeStrings(IReadOnlyList<string> values)
        {
            Pointer = (byte**)NativeMemory.AllocZeroed((nuint)(values.Count + 1), (nuint)sizeof(byte*));
            for (var i = 0; i < values.Count; i++)
            {
                if (values[i].Contains('\0', StringComparison.Ordinal))
                    throw new ArgumentException($"Argument {i} holds a NUL character.", nameof(values));
                var bytes = Encoding.UTF8.GetBytes(values[i]);
                Pointer[i] = (byte*)NativeMemory.AllocZeroed((nuint)bytes.Length + 1);
                bytes.CopyTo(new Span<byte>(Pointer[i], bytes.Length));
            }
        }

        public byte** Pointer { get; }

        public void Dispose()
        {
            for (var i = 0; Pointer[i] != null; i++)
                NativeMemory.Free(Pointer[i]);
            NativeMemory.Free(Pointer);
        }
    }

    // Each returns 0 or an error number.
    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int FileActionsInit(void* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int FileActionsDestroy(void* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddOpen(void* actions, int number, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int AddDuplicate(void* actions, int source, int number);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addchdir_np", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddChangeDirectory(void* actions, string path);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int AttributesInit(void* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int AttributesDestroy(void* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int SetFlags(void* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigmask")]
    private static partial int SetMask(void* attributes, void* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setsigdefault")]
    private static partial int SetDefaults(void* attributes, void* signals);

    [LibraryImport("libc", EntryPoint = "sigfillset")]
    private static partial int FillSignals(void* signals);

    [LibraryImport("libc", EntryPoint = "posix_spawn")]
    private static partial int PosixSpawn(int* id, byte* path, void* actions, void* attributes, byte** arguments, byte** environment);

    /// <summary>waitpid(2): the process, 0 when it runs, -1 when it is no child.</summary>
    [LibraryImport("libc", EntryPoint = "waitpid")]
    private static partial int WaitPid(int process, int* status, int options);

    /// <summary>kill(2): 0, or -1 when there is no such process.</summary>
    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);
}

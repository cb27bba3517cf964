using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Commands;

/// <summary>Tells when processes end that are nobody's children here: one thread waits for all of them, and asks nothing meanwhile.</summary>
internal static partial class ProcessEnd
{
    private const int PidFdOpen = 434;
    private const int CloseOnExec = 0x80000;
    private const int AddOperation = 1;
    private const uint ReadableOnce = 1 | (1u << 30);
    private const int Batch = 32;
    private const int Interrupted = 4;
    private const int NoSuchProcess = 3;
    private static readonly ConcurrentDictionary<int, TaskCompletionSource> Waiting = new();
    private static readonly Lazy<int> Poll = new(Start);

    /// <summary>Completes when the process is gone. Canceling stops waiting for it.</summary>
    public static async Task WaitAsync(ProcessIdentity process, CancellationToken cancellationToken)
    {
        // An event may be an earlier process's whose descriptor had this number: the answer is whether it lives.
        while (process.IsAlive)
        {
            using var file = Open(process.Id);
            // Asked again once it is open: the number is the process's own from then on.
            if (file is null || !process.IsAlive)
                return;
            var number = (int)file.DangerousGetHandle();
            var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Waiting[number] = ended;
            try
            {
                Add(number);
                await ended.Task.WaitAsync(cancellationToken);
            }
            finally
            {
                // Closing the descriptor takes it out of the set of those waited for.
                _ = Waiting.TryRemove(new KeyValuePair<int, TaskCompletionSource>(number, ended));
            }
        }
    }

    private static SafeFileHandle? Open(int process)
    {
        var result = SystemCall(PidFdOpen, process, 0);
        if (result >= 0)
            return new SafeFileHandle((nint)result, ownsHandle: true);
        var error = Marshal.GetLastPInvokeError();
        return error == NoSuchProcess ? null : throw new IOException($"Cannot watch process {process}: {new Win32Exception(error).Message}.");
    }

    private static int Start()
    {
        var poll = Create(CloseOnExec);
        if (poll < 0)
            throw new IOException($"Cannot watch processes: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
        new Thread(() => Run(poll)) { IsBackground = true, Name = "process ends" }.Start();
        return poll;
    }

    private static unsafe void Run(int poll)
    {
        // struct epoll_event: packed on x86-64 to 12 bytes, 16 elsewhere; the data is the descriptor's number.
        var items = stackalloc byte[Batch * EventSize];
        while (true)
        {
            // SAFETY: at most Batch events are written.
            var count = Wait(poll, items, Batch, -1);
            if (count < 0 && Marshal.GetLastPInvokeError() != Interrupted)
                return;
            for (var i = 0; i < count; i++)
            {
                var number = *(int*)(items + (i * EventSize) + DataOffset);
                if (Waiting.TryRemove(number, out var ended))
                    _ = ended.TrySetResult();
            }
        }
    }

    private static int EventSize => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    private static int DataOffset => EventSize - 8;

    private static unsafe void Add(int number)
    {
        var item = stackalloc byte[16];
        new Span<byte>(item, 16).Clear();
        *(uint*)item = ReadableOnce;
        *(int*)(item + DataOffset) = number;
        // SAFETY: the block is a whole event, which the kernel copies.
        if (Control(Poll.Value, AddOperation, number, item) != 0)
            throw new IOException($"Cannot watch a process: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");
    }

    // Each returns -1 with errno on failure.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, int process, uint flags);

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int Create(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static unsafe partial int Control(int poll, int operation, int number, byte* item);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static unsafe partial int Wait(int poll, byte* items, int count, int milliseconds);
}

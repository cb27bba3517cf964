using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Processes;

/// <summary>
/// Collects every child that ends, orphans too. A thread of its own waits: a signal descriptor would miss what the kernel hands to
/// a thread of the runtime that does not block the signal. It only looks; collecting is the loop's work, so that a child's number is
/// known, and stays taken, while its session is ended.
/// </summary>
internal sealed unsafe class Reaper
{
    // Where siginfo_t has the number of the child, counted in 32-bit words.
    private const int ChildNumber = 4;

    private readonly Dictionary<int, Child> _children = [];
    private readonly int _ended = Libc.EventFd(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
    private readonly int _resume = Libc.EventFd(0, Libc.O_CLOEXEC);

    public Reaper(EventLoop loop)
    {
        loop.Add(_ended, Libc.EPOLLIN, _ => Collect());
        new Thread(Watch, 128 * 1024) { IsBackground = true }.Start();
    }

    public void Add(Child child)
    {
        _children.Add(child.Pid, child);
        Signal(_resume);
    }

    private void Watch()
    {
        var info = stackalloc int[32];
        var count = 0UL;
        while (true)
        {
            // SAFETY: siginfo_t is 128 bytes.
            var result = Libc.WaitId(0, 0, info, Libc.WEXITED | Libc.WNOWAIT);
            if (result != 0 && Errno.Last == Errno.EINTR)
                continue;
            // No children at all, or one to collect: either way there is nothing to do until the loop says so.
            if (result == 0)
                Signal(_ended);
            _ = Libc.Read(_resume, (byte*)&count, sizeof(ulong));
        }
    }

    private void Collect()
    {
        var count = 0UL;
        // SAFETY: an event descriptor is read by eight bytes.
        _ = Libc.Read(_ended, (byte*)&count, sizeof(ulong));
        var info = stackalloc int[32];
        while (true)
        {
            info[ChildNumber] = 0;
            // SAFETY: as in Watch.
            if (Libc.WaitId(0, 0, info, Libc.WEXITED | Libc.WNOWAIT | Libc.WNOHANG) != 0 || info[ChildNumber] == 0)
                break;
            Collect(info[ChildNumber]);
        }

        Signal(_resume);
    }

    private static void Signal(int eventDescriptor)
    {
        var one = 1UL;
        // SAFETY: an event descriptor is written by eight bytes.
        _ = Libc.Write(eventDescriptor, (byte*)&one, sizeof(ulong));
    }

    private void Collect(int pid)
    {
        _children.Remove(pid, out var child);
        // What a process leaves behind in its session has no one to report to.
        if (child is not null)
            Session.Signal(pid, Libc.SIGKILL);
        int status;
        // SAFETY: one int is written.
        if (Libc.WaitPid(pid, &status, Libc.WNOHANG) == pid)
            child?.End(status);
    }
}

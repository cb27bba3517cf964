using NanoVms.Agent.Guest;
using NanoVms.Agent.Interop;
using NanoVms.Agent.Processes;

namespace NanoVms.Agent;

/// <summary>
/// The agent. As a guest's first process it speaks to the host by vsock or the virtio-serial port
/// <c>nanovms.agent</c>; by <c>--serve-unix PATH</c> it serves the same protocol on a socket and leaves the computer it runs on as it is. As a
/// container's first process, by <c>--container NAME</c>, it takes the host at a listening socket that it inherits.
/// </summary>
internal static class Program
{
    // The first after the standard descriptors, by the convention of sd_listen_fds(3).
    private const int InheritedListener = 3;

    public static int Main(string[] arguments)
    {
        // A kernel without a console starts its first process without standard descriptors; a pipe must never become one of them.
        int spare;
        while ((spare = Files.TryOpen("/dev/null", Libc.O_RDWR)) is >= 0 and < 3)
        {
        }

        _ = Libc.Close(spare);
        if (arguments.Length > 0 && arguments[0] == Launcher.Option)
            return Launcher.Run(arguments.AsSpan(1));
        _ = Libc.HandleSignal(Libc.SIGPIPE, 1);
        if (arguments is ["--container", _] && Environment.ProcessId == 1)
            return RunContainer();
        if (Environment.ProcessId == 1)
            return RunGuest();
        if (arguments is ["--serve-unix", var path])
            return Serve(path);
        Console("usage: nanovms-agent --serve-unix PATH\n");
        return 2;
    }

    private static int RunGuest()
    {
        try
        {
            GuestSystem.MountKernelFileSystems();
            var loop = new EventLoop { Failed = failure => KernelLog.Error($"{failure.GetType().Name}: {failure.Message}") };
            var channel = new HostChannel(loop);
            var guest = new GuestSystem();
            var dispatcher = new Dispatcher(loop, channel, new Reaper(loop), guest);
            HostPort.Open(loop, channel);
            Run(loop, channel, dispatcher);
            Power.Off(guest);
        }
        catch (Exception failure)
        {
            KernelLog.Error($"{failure.GetType().Name}: {failure.Message}");
        }

        // The kernel panics without its first process, and by its command line that ends the machine for all to see.
        return 1;
    }

    private static int RunContainer()
    {
        try
        {
            var loop = new EventLoop { Failed = failure => Console($"nanovms-agent: {failure.GetType().Name}: {failure.Message}\n") };
            var channel = new HostChannel(loop);
            var dispatcher = new Dispatcher(loop, channel, new Reaper(loop), new GuestSystem(isContainer: true));
            SocketServer.Serve(InheritedListener, loop, channel);
            Run(loop, channel, dispatcher);
            Power.EndProcesses();
            return 0;
        }
        catch (Exception failure)
        {
            Console($"nanovms-agent: {failure.GetType().Name}: {failure.Message}\n");
            return 1;
        }
    }

    private static int Serve(string path)
    {
        const int SetChildSubreaper = 36;
        var loop = new EventLoop { Failed = failure => Console($"nanovms-agent: {failure.GetType().Name}: {failure.Message}\n") };
        var channel = new HostChannel(loop);
        var dispatcher = new Dispatcher(loop, channel, new Reaper(loop), guest: null);
        _ = Libc.ProcessControl(SetChildSubreaper, 1, 0, 0, 0);
        GuestSystem.RaiseLimits();
        if (!SocketServer.TryListen(path, loop, channel))
        {
            Console($"nanovms-agent: cannot listen on {path}: {Errno.Describe(Errno.Last)}\n");
            return 1;
        }

        Run(loop, channel, dispatcher);
        return 0;
    }

    private static void Run(EventLoop loop, HostChannel channel, Dispatcher dispatcher)
    {
        while (!dispatcher.IsStopping)
            loop.RunOnce();
        // The answer to the shutdown should still reach the host, if it listens.
        for (var tries = 0; tries < 100 && channel.HasOutput; tries++)
            loop.RunOnce(10);
    }

    private static void Console(string text) => Files.TryWrite("/dev/stderr", text);
}

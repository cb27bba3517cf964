namespace NanoVms.Drivers.Isolation;

/// <summary>Runs what changes a thread's own view of the computer on a thread that serves nothing else and ends.</summary>
/// <remarks>
/// A thread inherits the view of the one that starts it, and telling a result may start one of the pool's: it would keep a container's
/// mounts, and the devices beneath them, for as long as it lives. So another thread, with the process's own view, waits and tells.
/// </remarks>
internal static class Aside
{
    public static Task<T> RunAsync<T>(Func<T> action, string name)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Start(() => Tell(action, name, done), $"{name} told");
        return done.Task;
    }

    private static void Tell<T>(Func<T> action, string name, TaskCompletionSource<T> done)
    {
        T? result = default;
        Exception? failure = null;
        Start(
            () =>
            {
                try
                {
                    result = action();
                }
                catch (Exception e)
                {
                    failure = e;
                }
            },
            name).Join();
        if (failure is null)
            done.SetResult(result!);
        else
            done.SetException(failure);
    }

    private static Thread Start(ThreadStart action, string name)
    {
        var thread = new Thread(action) { IsBackground = true, Name = name };
        thread.Start();
        return thread;
    }
}

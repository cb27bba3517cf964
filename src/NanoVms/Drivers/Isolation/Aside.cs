namespace NanoVms.Drivers.Isolation;

/// <summary>Runs what changes a thread's own view of the computer on a thread that serves nothing else and ends.</summary>
internal static class Aside
{
    public static Task<T> RunAsync<T>(Func<T> action, string name)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                done.SetResult(action());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        })
        { IsBackground = true, Name = name }.Start();
        return done.Task;
    }
}

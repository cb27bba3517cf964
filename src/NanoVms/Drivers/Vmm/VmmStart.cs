using NanoVms.Commands;
using NanoVms.Drivers.Rest;

namespace NanoVms.Drivers.Vmm;

/// <summary>Waits for a fresh hypervisor's interface: it makes its socket a moment after its start.</summary>
internal static class VmmStart
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(2);

    /// <summary>The interface's first answer.</summary>
    /// <exception cref="RestException">The process ended, or was silent.</exception>
    public static async Task<T> AskAsync<T>(
        string folder, string socket, ProcessIdentity process, Func<CancellationToken, Task<T>> ask, TimeProvider time, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, socket);
        var started = time.GetTimestamp();
        while (true)
        {
            // Looked for first: a connection that fails costs far more.
            while (!File.Exists(path) && process.IsAlive && time.GetElapsedTime(started) < Limit)
                await Task.Delay(Poll, time, cancellationToken);
            try
            {
                return await ask(cancellationToken);
            }
            catch (RestException e) when (e.Status is null && process.IsAlive && time.GetElapsedTime(started) < Limit)
            {
                await Task.Delay(Poll, time, cancellationToken);
            }
        }
    }
}

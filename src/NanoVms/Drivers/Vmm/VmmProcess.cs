using NanoVms.Commands;
using NanoVms.Drivers.Vsock;
using NanoVms.Machines;

namespace NanoVms.Drivers.Vmm;

/// <summary>What running hypervisors have in common that are told what to do over HTTP, on a socket in their working folder.</summary>
internal abstract class VmmProcess : IHypervisor
{
    private static readonly TimeSpan SqueezeStep = TimeSpan.FromSeconds(0.5);
    private readonly int _squeezePatience;

    /// <param name="runFolder">The hypervisor's working folder.</param>
    /// <param name="socket">Name of its interface's socket there.</param>
    /// <param name="squeezePatience">How many steps in which nothing moves make <see cref="SqueezeAsync"/> give up.</param>
    protected VmmProcess(string machineFolder, string runFolder, string socket, ProcessIdentity identity, int squeezePatience, TimeProvider time)
    {
        MachineFolder = machineFolder;
        RunFolder = runFolder;
        Socket = socket;
        Identity = identity;
        Time = time;
        Watch = new VmmWatch(runFolder, socket, identity, time);
        _squeezePatience = squeezePatience;
    }

    public ProcessIdentity Identity { get; }

    public Task<string> Ended => Watch.Ended;

    protected string MachineFolder { get; }

    protected string RunFolder { get; }

    protected string Socket { get; }

    protected TimeProvider Time { get; }

    protected VmmWatch Watch { get; }

    /// <summary>The files of its snapshots.</summary>
    protected abstract SavedFiles Files { get; }

    public abstract Task<MachineState> ConnectAsync(CancellationToken cancellationToken);

    public abstract Task PauseAsync(CancellationToken cancellationToken);

    public abstract Task ResumeAsync(CancellationToken cancellationToken);

    public abstract Task LoadAsync(string folder, CancellationToken cancellationToken);

    public abstract Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken);

    public abstract Task TerminateAsync();

    public abstract ValueTask DisposeAsync();

    public void GiveUp(string reason) => Watch.GiveUp(reason);

    public virtual Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken) =>
        VsockChannel.ConnectAsync(RunFolder, Vmm.RunFolder.VsockSocket, VsockChannel.AgentPort, Time, cancellationToken);

    public async Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken)
    {
        SavedFiles.Prepare(RunFolder, Identity);
        await WriteSnapshotAsync(cancellationToken);
        await Files.TakeAsync(RunFolder, MachineFolder, folder, parent, cancellationToken);
    }

    public async Task SqueezeAsync(long all, long least, CancellationToken cancellationToken)
    {
        await SetBalloonAsync(all - least, cancellationToken);
        try
        {
            // Given up when nothing has moved for a while: the guest needs what it has.
            var (before, still) = (0L, 0);
            while (still < _squeezePatience)
            {
                await Task.Delay(SqueezeStep, Time, cancellationToken);
                var now = await GetBalloonAsync(cancellationToken);
                if (now >= all - least)
                    return;
                still = now > before ? 0 : still + 1;
                before = now;
            }
        }
        finally
        {
            await SetBalloonAsync(0, CancellationToken.None);
        }
    }

    /// <summary>Writes the halted machine into <see cref="SavedFiles.WriteFolder"/>.</summary>
    protected abstract Task WriteSnapshotAsync(CancellationToken cancellationToken);

    /// <param name="bytes">What the guest should give up.</param>
    protected abstract Task SetBalloonAsync(long bytes, CancellationToken cancellationToken);

    /// <summary>Bytes that the guest has given up.</summary>
    protected abstract Task<long> GetBalloonAsync(CancellationToken cancellationToken);

    /// <summary>The interface's first answer.</summary>
    /// <exception cref="HypervisorException">The process ended, or was silent.</exception>
    protected Task<T> AskFirstAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken) =>
        VmmStart.AskAsync(RunFolder, Socket, Identity, ask, Time, cancellationToken);

    /// <summary>It has opened all that its machine is made of.</summary>
    protected Task StripAsync() => VmmJail.StripAsync(Identity, RunFolder);
}

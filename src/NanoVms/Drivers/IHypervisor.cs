using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Drivers;

/// <summary>
/// One running machine as seen from here: its process and the channel to it, which is connected again when it is lost.
/// Disposing lets go of the machine, which runs on.
/// </summary>
internal interface IHypervisor : IAsyncDisposable
{
    ProcessIdentity Identity { get; }

    /// <summary>Completes once, never fails, when the guest has halted for good or the process is gone. Why: one sentence without a subject's name.</summary>
    Task<string> Ended { get; }

    /// <summary>Connects and watches from then on. Returns <see cref="MachineState.Running"/> or <see cref="MachineState.Paused"/>.</summary>
    /// <exception cref="HypervisorException">The process ended or does not answer.</exception>
    Task<MachineState> ConnectAsync(CancellationToken cancellationToken);

    /// <summary>Declares the machine ended, for a reason that nothing here can see.</summary>
    void GiveUp(string reason);

    /// <summary>A stream to the guest's agent.</summary>
    /// <exception cref="IOException">Nobody is there, yet or any more.</exception>
    /// <exception cref="System.Net.Sockets.SocketException">Likewise.</exception>
    Task<Stream> ConnectAgentAsync(CancellationToken cancellationToken);

    /// <exception cref="HypervisorException">It refused or is gone.</exception>
    Task PauseAsync(CancellationToken cancellationToken);

    /// <exception cref="HypervisorException">It refused or is gone.</exception>
    Task ResumeAsync(CancellationToken cancellationToken);

    /// <summary>Writes memory and devices of the paused machine into a folder, from which <see cref="IMachineDriver.LaunchAsync"/> starts it again.</summary>
    /// <param name="parent">
    /// The folder of a snapshot from which nothing need be written that is the same there; only with <see cref="DriverCapabilities.IncrementalSnapshot"/>.
    /// </param>
    /// <exception cref="HypervisorException">It refused, is gone, or cannot do this.</exception>
    Task SaveAsync(string folder, string? parent, CancellationToken cancellationToken);

    /// <summary>Finishes the start of a machine that was launched from such a folder; it stays paused.</summary>
    /// <exception cref="HypervisorException">It refused or is gone.</exception>
    Task LoadAsync(string folder, CancellationToken cancellationToken);

    /// <summary>Takes memory from the guest down to a size, as far as it gives it, and lets it have all again. Does nothing where the driver cannot.</summary>
    /// <param name="all">The guest's memory in bytes.</param>
    /// <param name="least">What it should keep, in bytes.</param>
    Task SqueezeAsync(long all, long least, CancellationToken cancellationToken);

    /// <summary>
    /// What the guest's kernel and agent wrote to the console since the last call, as they wrote it: at most the last 64 KiB of that. Empty
    /// when it is out of reach.
    /// </summary>
    Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken);

    /// <summary>Ends the process, by order or by force, and waits until it is gone with all that it held.</summary>
    Task TerminateAsync();
}

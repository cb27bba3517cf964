using System.Net;

namespace NanoVms.Machines;

public sealed class Machine
{
    internal Machine(MachineSpec spec) => Spec = spec;

    public string Id => throw new NotSupportedException();

    public MachineSpec Spec { get; }

    public MachineState State => throw new NotSupportedException();

    public IPAddress? Address => throw new NotSupportedException();

    public string Driver => throw new NotSupportedException();

    public bool Accelerated => throw new NotSupportedException();

    public DateTimeOffset StartedAt => throw new NotSupportedException();

    public string? FailureReason => throw new NotSupportedException();

    public MachineTimings Timings => throw new NotSupportedException();

    public Task<ProcessExit> Exited => throw new NotSupportedException();

    public IAsyncEnumerable<OutputChunk> ReadOutputAsync(long fromOffset, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<ProcessExit> RunAsync(ProcessSpec process, Action<OutputChunk>? onOutput, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<MachineStats> GetStatsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task PauseAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task ResumeAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task StopAsync(TimeSpan grace, CancellationToken cancellationToken) => throw new NotSupportedException();
}

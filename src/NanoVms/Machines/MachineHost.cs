using Microsoft.Extensions.Logging;

namespace NanoVms.Machines;

public sealed class MachineHost : IAsyncDisposable
{
    private MachineHost()
    {
    }

    public IReadOnlyCollection<Machine> Machines => throw new NotSupportedException();

    public static Task<MachineHost> OpenAsync(
        MachineHostOptions options, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Removes every machine of the folder, its network and the folder.</summary>
    public static Task DestroyAsync(
        MachineHostOptions options, ILoggerFactory loggerFactory, TimeProvider time, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Machine? Find(string id) => throw new NotSupportedException(id);

    public Task<Machine> StartAsync(MachineSpec spec, ProcessSpec? main, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<IReadOnlyList<DriverStatus>> GetDriversAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}

using System.Text.Json;
using NanoVms.Drivers.Rest;

namespace NanoVms.Drivers.Firecracker;

/// <summary>
/// Firecracker's interface (src/firecracker/swagger/firecracker.yaml): before the start everything is described piece by piece,
/// after it the machine can be paused, resumed, saved and watched. Each method throws <see cref="RestException"/>.
/// </summary>
internal sealed class FirecrackerClient(string folder, string socket, TimeProvider time) : IDisposable
{
    /// <summary>Saving writes the guest's memory to a disk: a GiB at 20 MB a second, and more for more.</summary>
    private static readonly TimeSpan SnapshotLimit = TimeSpan.FromMinutes(2);
    private static readonly RestDialect Dialect = new("Firecracker", "", ReadFault);
    private static readonly FirecrackerJson Json = FirecrackerJson.Default;
    private readonly RestClient _rest = new(folder, socket, Dialect, time);

    public Task<InstanceInfo> GetInstanceAsync(CancellationToken cancellationToken) =>
        _rest.GetAsync("/", Json.InstanceInfo, cancellationToken);

    public async Task<string> GetVersionAsync(CancellationToken cancellationToken) =>
        (await _rest.GetAsync("/version", Json.VersionAnswer, cancellationToken)).FirecrackerVersion;

    public Task<MachineConfiguration> GetMachineAsync(CancellationToken cancellationToken) =>
        _rest.GetAsync("/machine-config", Json.MachineConfiguration, cancellationToken);

    public Task PutMachineAsync(MachineConfiguration machine, CancellationToken cancellationToken) =>
        _rest.PutAsync("/machine-config", machine, Json.MachineConfiguration, cancellationToken);

    public Task PutBootSourceAsync(BootSource boot, CancellationToken cancellationToken) =>
        _rest.PutAsync("/boot-source", boot, Json.BootSource, cancellationToken);

    public Task PutDriveAsync(Drive drive, CancellationToken cancellationToken) =>
        _rest.PutAsync($"/drives/{Identifier(drive.DriveId)}", drive, Json.Drive, cancellationToken);

    public Task PutNetworkAsync(NetworkInterface card, CancellationToken cancellationToken) =>
        _rest.PutAsync($"/network-interfaces/{Identifier(card.IfaceId)}", card, Json.NetworkInterface, cancellationToken);

    public Task PutVsockAsync(VsockDevice vsock, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vsock", vsock, Json.VsockDevice, cancellationToken);

    public Task PutEntropyAsync(CancellationToken cancellationToken) =>
        _rest.PutAsync("/entropy", new EntropyDevice(), Json.EntropyDevice, cancellationToken);

    public Task PutBalloonAsync(Balloon balloon, CancellationToken cancellationToken) =>
        _rest.PutAsync("/balloon", balloon, Json.Balloon, cancellationToken);

    public Task PatchBalloonAsync(BalloonUpdate update, CancellationToken cancellationToken) =>
        _rest.PatchAsync("/balloon", update, Json.BalloonUpdate, cancellationToken);

    public Task<BalloonStatistics> GetBalloonStatisticsAsync(CancellationToken cancellationToken) =>
        _rest.GetAsync("/balloon/statistics", Json.BalloonStatistics, cancellationToken);

    public Task PutLoggerAsync(LoggerTarget logger, CancellationToken cancellationToken) =>
        _rest.PutAsync("/logger", logger, Json.LoggerTarget, cancellationToken);

    public Task PutMetricsAsync(MetricsTarget metrics, CancellationToken cancellationToken) =>
        _rest.PutAsync("/metrics", metrics, Json.MetricsTarget, cancellationToken);

    /// <summary>False when this Firecracker is too old (before 1.14) to send the console elsewhere than to its standard output.</summary>
    public async Task<bool> TryPutSerialAsync(SerialDevice serial, CancellationToken cancellationToken)
    {
        try
        {
            await _rest.PutAsync("/serial", serial, Json.SerialDevice, cancellationToken);
            return true;
        }
        catch (RestException e) when (e.Fault.StartsWith("Invalid request method and/or path", StringComparison.Ordinal))
        {
            return false;
        }
    }

    public Task ActAsync(ActionType action, CancellationToken cancellationToken) =>
        _rest.PutAsync("/actions", new InstanceAction(action), Json.InstanceAction, cancellationToken);

    public Task SetStateAsync(VmStateChange state, CancellationToken cancellationToken) =>
        _rest.PatchAsync("/vm", new VmUpdate(state), Json.VmUpdate, cancellationToken);

    /// <summary>Writes a snapshot of the paused machine; both paths as the hypervisor sees them.</summary>
    public Task CreateSnapshotAsync(SnapshotCreation snapshot, CancellationToken cancellationToken) =>
        _rest.PutAsync("/snapshot/create", snapshot, Json.SnapshotCreation, cancellationToken, SnapshotLimit);

    /// <summary>Becomes the machine of a snapshot: only before anything but logger and metrics was described.</summary>
    public Task LoadSnapshotAsync(SnapshotLoad snapshot, CancellationToken cancellationToken) =>
        _rest.PutAsync("/snapshot/load", snapshot, Json.SnapshotLoad, cancellationToken, SnapshotLimit);

    public void Dispose() => _rest.Dispose();

    private static string? ReadFault(JsonElement body) =>
        body.ValueKind == JsonValueKind.Object && body.TryGetProperty("fault_message", out var message) ? message.GetString() : null;

    /// <summary>Firecracker's ids are part of a path.</summary>
    private static string Identifier(string id) => id.Length > 0 && id.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')
        ? id
        : throw new ArgumentException($"'{id}' is no id for a device: one or more of A-Z a-z 0-9 _.", nameof(id));
}

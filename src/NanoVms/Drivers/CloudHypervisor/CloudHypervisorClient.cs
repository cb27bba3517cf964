using System.Runtime.InteropServices;
using System.Text.Json;
using NanoVms.Drivers.Rest;

namespace NanoVms.Drivers.CloudHypervisor;

/// <summary>
/// Cloud Hypervisor's interface (vmm/src/api/openapi/cloud-hypervisor.yaml): a machine is described whole, then booted; it can be
/// paused, resumed, saved and watched. Each method throws <see cref="RestException"/>.
/// </summary>
internal sealed class CloudHypervisorClient(string folder, string socket, TimeProvider time) : IDisposable
{
    /// <summary>Saving and restoring move the guest's memory to and from a disk.</summary>
    private static readonly TimeSpan SnapshotLimit = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan BootLimit = TimeSpan.FromSeconds(30);
    private static readonly RestDialect Dialect = new("Cloud Hypervisor", "/api/v1", ReadFault);
    private static readonly CloudHypervisorJson Json = CloudHypervisorJson.Default;
    private readonly RestClient _rest = new(folder, socket, Dialect, time);

    public Task<PingAnswer> PingAsync(CancellationToken cancellationToken) =>
        _rest.GetAsync("/vmm.ping", Json.PingAnswer, cancellationToken);

    /// <summary>Null when no machine was created yet.</summary>
    public async Task<VmInfo?> FindInfoAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _rest.GetAsync("/vm.info", Json.VmInfo, cancellationToken);
        }
        catch (RestException e) when (e.Status is 404)
        {
            return null;
        }
    }

    public Task CreateAsync(VmConfig config, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vm.create", config, Json.VmConfig, cancellationToken);

    /// <summary>Adds a card to a machine that does not run yet, with its tap.</summary>
    public Task AddNetAsync(NetConfig card, SafeHandle tap, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vm.add-net", card, Json.NetConfig, [tap], cancellationToken);

    public Task BootAsync(CancellationToken cancellationToken) => _rest.PutAsync("/vm.boot", cancellationToken, BootLimit);

    public Task PauseAsync(CancellationToken cancellationToken) => _rest.PutAsync("/vm.pause", cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => _rest.PutAsync("/vm.resume", cancellationToken);

    /// <summary>Ends the guest at once; the hypervisor stays.</summary>
    public Task ShutDownAsync(CancellationToken cancellationToken) => _rest.PutAsync("/vm.shutdown", cancellationToken);

    /// <summary>Ends the hypervisor.</summary>
    public Task QuitAsync(CancellationToken cancellationToken, TimeSpan? limit = null) =>
        _rest.PutAsync("/vmm.shutdown", cancellationToken, limit);

    /// <param name="balloon">Bytes that the guest should give up.</param>
    public Task ResizeBalloonAsync(long balloon, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vm.resize", new VmResize { DesiredBalloon = balloon }, Json.VmResize, cancellationToken);

    /// <summary>Counts of each device, by its name.</summary>
    public Task<Dictionary<string, Dictionary<string, long>>> GetCountersAsync(CancellationToken cancellationToken) =>
        _rest.GetAsync("/vm.counters", Json.Counters, cancellationToken);

    /// <summary>Writes the paused machine into a folder, as the hypervisor sees it.</summary>
    public Task SnapshotAsync(string folderUrl, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vm.snapshot", new SnapshotConfig(folderUrl), Json.SnapshotConfig, cancellationToken, SnapshotLimit);

    /// <summary>Becomes the machine of a snapshot, paused.</summary>
    /// <param name="taps">Of <see cref="RestoreConfig.NetFds"/>.</param>
    public Task RestoreAsync(RestoreConfig restore, IReadOnlyList<SafeHandle> taps, CancellationToken cancellationToken) =>
        _rest.PutAsync("/vm.restore", restore, Json.RestoreConfig, taps, cancellationToken, SnapshotLimit);

    public void Dispose() => _rest.Dispose();

    /// <summary>An array of reasons, from the outermost to the cause.</summary>
    private static string? ReadFault(JsonElement body) =>
        body.ValueKind == JsonValueKind.Array ? string.Join(": ", body.EnumerateArray().Select(reason => reason.GetString())) : null;
}

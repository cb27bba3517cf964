using Microsoft.Extensions.Logging;
using NanoVms.Machines;

namespace NanoVms.Network;

/// <summary>Which network a machine host has: the bridge, or without root one for each machine.</summary>
internal static class HostNetworks
{
    /// <summary>Of <see cref="IHostNetwork.HostId"/>, before there is a network.</summary>
    public static string IdOf(HostMode mode, string folder, NetworkOptions options) =>
        mode == HostMode.Root ? GuestBridge.IdOf(options.BridgeName) : UserNetwork.IdOf(folder);

    /// <summary>How the arguments of processes begin that belong to single machines; null where there are none.</summary>
    public static string? MarkOf(HostMode mode, string folder) => mode == HostMode.Root ? null : UserNetwork.MarkOf(folder);

    /// <param name="guests">What is plugged in and alive, and the ports of the computer that lead to it.</param>
    /// <exception cref="NetworkException">The network cannot be set up; the message says what to do.</exception>
    public static async Task<IHostNetwork> OpenAsync(
        HostMode mode,
        string folder,
        NetworkOptions options,
        Func<IHostNetwork, IReadOnlyCollection<(BridgePort Port, IReadOnlyList<PortMapping> Published)>> guests,
        ILoggerFactory loggerFactory,
        TimeProvider time,
        CancellationToken cancellationToken) => mode == HostMode.Root
        ? await GuestBridge.OpenAsync(folder, options, guests, loggerFactory.CreateLogger<GuestBridge>(), time, cancellationToken)
        : await UserNetwork.OpenAsync(folder, options, loggerFactory.CreateLogger<UserNetwork>(), time, cancellationToken);

    /// <summary>The network as it was kept, for <see cref="IHostNetwork.RemoveAsync"/> alone: nothing is repaired first.</summary>
    public static IHostNetwork ForRemoval(HostMode mode, string folder, NetworkOptions options, ILoggerFactory loggerFactory, TimeProvider time) => mode == HostMode.Root
        ? GuestBridge.ForRemoval(folder, options, loggerFactory.CreateLogger<GuestBridge>(), time)
        : UserNetwork.ForRemoval(folder, options, loggerFactory.CreateLogger<UserNetwork>(), time);
}

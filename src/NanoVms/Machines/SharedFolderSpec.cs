namespace NanoVms.Machines;

/// <summary>
/// A folder of the host that the machine has a copy of: copied in before the main process starts, copied back by
/// <see cref="Machine.SyncAsync"/> and when the machine is stopped with a grace. What a machine wrote that was killed since is lost.
/// </summary>
/// <param name="HostPath">Absolute; made when it is missing. It is replaced as a whole by what comes back, or stays as it is.</param>
/// <param name="GuestPath">Absolute.</param>
/// <param name="Limits">What may come back.</param>
public sealed record SharedFolderSpec(string HostPath, string GuestPath, CopyLimits Limits);

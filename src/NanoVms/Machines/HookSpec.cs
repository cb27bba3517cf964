namespace NanoVms.Machines;

/// <summary>A process that the guest runs by itself at a turn of its life, one after the other.</summary>
/// <param name="Limit">1 s to 1 h; then it is killed and the next comes.</param>
public sealed record HookSpec(ProcessSpec Process, TimeSpan Limit);

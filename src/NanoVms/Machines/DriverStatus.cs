namespace NanoVms.Machines;

/// <summary>Whether a driver works on this host.</summary>
/// <param name="Accelerated">True when a probe ran a guest at hardware speed.</param>
/// <param name="Reason">Why it is, or is not, usable or accelerated, and what to do about it.</param>
public sealed record DriverStatus(string Name, bool Usable, bool Accelerated, string Reason);

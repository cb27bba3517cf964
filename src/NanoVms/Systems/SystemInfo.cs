namespace NanoVms.Systems;

/// <summary>An operating system of the catalogue, as people see it.</summary>
/// <param name="Location">Where it is fetched from.</param>
/// <param name="Verification">How what is fetched is verified.</param>
/// <param name="IsHere">True when a machine of it starts without fetching.</param>
public sealed record SystemInfo(string Name, string Title, string Location, string Verification, bool IsHere);

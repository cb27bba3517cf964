namespace BytePort.Edge.Proxying;

/// <summary>One running copy of a service.</summary>
/// <param name="Id">Unique for the life of the edge (a machine's id); counts of requests under way are kept by it.</param>
/// <param name="Address">Where it listens, for example <c>http://10.77.0.4:8080/</c>. Only scheme, host and port are used.</param>
public sealed record Upstream(string Id, Uri Address);

namespace BytePort.Server.Machines.Networks;

/// <summary>A private network as its team sees it.</summary>
/// <param name="Prefix">Its addresses.</param>
/// <param name="Router">Id of the machine that leads out of it; null while there is none.</param>
/// <param name="Machines">Ids of the machines that have a card in it.</param>
internal sealed record NetworkView(string Name, string Prefix, DateTimeOffset CreatedAt, string? Router, IReadOnlyList<string> Machines);

/// <summary>What POST /api/v1/networks takes.</summary>
/// <param name="Name">1 to 39 of a-z, 0-9 and -, a letter first; not default and not none.</param>
internal sealed record NewNetwork(string? Name);

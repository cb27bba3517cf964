namespace NanoVms.Agent;

/// <summary>A network card beside the first: <c>eth1</c> and on, in the order in which they are told.</summary>
/// <param name="MacAddress">Six bytes as <c>02:42:0a:00:00:01</c>; the card gets it when it has another.</param>
public sealed record GuestCard(string MacAddress, GuestNetwork Network);

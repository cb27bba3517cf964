using System.Net;

namespace NanoVms.Agent;

/// <summary>A name that the guest resolves by itself, by its <c>/etc/hosts</c>. A name may be there several times, with other addresses.</summary>
/// <param name="Name">Without blanks.</param>
public sealed record GuestName(string Name, IPAddress Address);

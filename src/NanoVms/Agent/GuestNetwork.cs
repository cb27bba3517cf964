using System.Net;

namespace NanoVms.Agent;

/// <summary>What one of the guest's network cards is; <c>eth0</c> is the first.</summary>
/// <param name="Address">IPv4.</param>
/// <param name="PrefixLength">1 to 32.</param>
/// <param name="Gateway">IPv4, on the same network; null for no route out.</param>
/// <param name="DnsServer">IPv4; null leaves <c>/etc/resolv.conf</c> without a name server.</param>
/// <param name="Mtu">576 to 65535 bytes.</param>
public sealed record GuestNetwork(IPAddress Address, int PrefixLength, IPAddress? Gateway, IPAddress? DnsServer, int Mtu);

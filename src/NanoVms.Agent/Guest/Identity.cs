using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The guest's own name and the names it knows.</summary>
internal static unsafe class Identity
{
    public static void Apply(GuestConfig config)
    {
        var name = Encoding.UTF8.GetBytes(config.Hostname);
        // SAFETY: the length is the array's.
        fixed (byte* start = name)
        {
            if (Libc.SetHostName(start, (nuint)name.Length) != 0)
                throw AgentFailure.Of($"cannot take the host name {config.Hostname}");
        }

        Files.MakeDirectory("/etc");
        Files.Write("/etc/hostname", config.Hostname + "\n");
        var hosts = new StringBuilder($"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
        hosts.Append(config.Network?.Address.ToString() ?? "127.0.1.1").Append('\t').Append(config.Hostname).Append('\n');
        foreach (var (host, address) in config.Hosts)
            hosts.Append(address).Append('\t').Append(host).Append('\n');
        Files.Write("/etc/hosts", hosts.ToString());
        if (config.Network is { } network)
            Files.Write("/etc/resolv.conf", network.DnsServer is { } server ? $"nameserver {server}\noptions timeout:2 attempts:3\n" : "");
        if (config.CaBundle is null)
            return;
        Files.MakeDirectory("/etc/ssl");
        Files.MakeDirectory("/etc/ssl/certs");
        Files.Write("/etc/ssl/certs/ca-certificates.crt", config.CaBundle);
    }
}

using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The guest's own name and the names it knows.</summary>
internal static unsafe class Identity
{
    private const string HostsFile = "/etc/hosts";
    private const string ResolverFile = "/etc/resolv.conf";
    private const string MachineId = "/etc/machine-id";
    private const string BootId = "/proc/sys/kernel/random/boot_id";
    private const string NewBootId = "/run/nanovms.boot-id";

    /// <param name="setsHostName">False where the host gave the name already.</param>
    /// <param name="names">Of other machines, beside those of the configuration.</param>
    public static void Apply(GuestConfig config, IReadOnlyList<GuestName> names, bool setsHostName = true)
    {
        if (setsHostName)
            SetHostName(config.Hostname);
        Files.MakeDirectory("/etc");
        Files.Write("/etc/hostname", config.Hostname + "\n");
        WriteHosts(config, names);
        if (config.Network is { } network)
            Files.Write(ResolverFile, Resolver(network));
        if (config.CaBundle is null)
            return;
        Files.MakeDirectory("/etc/ssl");
        Files.MakeDirectory("/etc/ssl/certs");
        Files.Write("/etc/ssl/certs/ca-certificates.crt", config.CaBundle);
    }

    /// <summary>
    /// As <see cref="Apply"/>, for a guest that is one already and still: only what differs, and in the files that are there. A restored
    /// guest does everything for the first time, so each step that is left out is time won.
    /// </summary>
    public static void Change(GuestConfig before, GuestConfig config, IReadOnlyList<GuestName> names)
    {
        if (config.Hostname != before.Hostname)
        {
            SetHostName(config.Hostname);
            Files.Overwrite("/etc/hostname", config.Hostname + "\n");
        }

        Files.Overwrite(HostsFile, Hosts(config, names));
        if (config.Network is { } network && !Equals(network.DnsServer, before.Network?.DnsServer))
            Files.Overwrite(ResolverFile, Resolver(network));
    }

    /// <summary>Replaces the file as a whole: programs that read it meanwhile see the one before.</summary>
    public static void WriteHosts(GuestConfig config, IReadOnlyList<GuestName> names)
    {
        const string Next = "/etc/.hosts.nanovms";
        Files.Write(Next, Hosts(config, names));
        if (Files.TryRename(Next, HostsFile))
            return;
        Files.TryUnlink(Next);
        Files.Write(HostsFile, Hosts(config, names));
    }

    private static string Hosts(GuestConfig config, IReadOnlyList<GuestName> names)
    {
        var hosts = new StringBuilder($"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
        hosts.Append(config.Network?.Address.ToString() ?? "127.0.1.1").Append('\t').Append(config.Hostname).Append('\n');
        foreach (var (host, address) in config.Hosts)
            hosts.Append(address).Append('\t').Append(host).Append('\n');
        foreach (var name in names)
            hosts.Append(name.Address).Append('\t').Append(name.Name).Append('\n');
        return hosts.ToString();
    }

    private static string Resolver(GuestNetwork network) => network.DnsServer is { } server ? $"nameserver {server}\noptions timeout:2 attempts:3\n" : "";

    private static void SetHostName(string hostName)
    {
        var name = Encoding.UTF8.GetBytes(hostName);
        // SAFETY: the length is the array's.
        fixed (byte* start = name)
        {
            if (Libc.SetHostName(start, (nuint)name.Length) != 0)
                throw AgentFailure.Of($"cannot take the host name {hostName}");
        }
    }

    /// <summary>
    /// Makes ready, before the guest is saved, for <see cref="Renew"/> in its clones. The kernel makes up its boot id once; programs that
    /// read the file see another by one laid over it.
    /// </summary>
    public static void PrepareToRenew()
    {
        if (Files.Exists(NewBootId))
            return;
        Files.Write(NewBootId, Files.TryReadText(BootId, 64), 0x124);
        Mounts.Bind(NewBootId, BootId);
    }

    /// <summary>Gives a clone numbers of its own: of the machine, where its image has one, and of the boot.</summary>
    public static void Renew()
    {
        if (Files.Exists(MachineId))
            Files.Overwrite(MachineId, Guid.NewGuid().ToString("N") + "\n");
        Files.Overwrite(NewBootId, Guid.NewGuid() + "\n");
    }
}

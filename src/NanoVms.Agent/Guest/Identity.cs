using System.Text;
using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>The guest's own name and the names it knows.</summary>
internal static unsafe class Identity
{
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
            Files.Write("/etc/resolv.conf", network.DnsServer is { } server ? $"nameserver {server}\noptions timeout:2 attempts:3\n" : "");
        if (config.CaBundle is null)
            return;
        Files.MakeDirectory("/etc/ssl");
        Files.MakeDirectory("/etc/ssl/certs");
        Files.Write("/etc/ssl/certs/ca-certificates.crt", config.CaBundle);
    }

    /// <summary>Replaces the file as a whole: programs that read it meanwhile see the one before.</summary>
    public static void WriteHosts(GuestConfig config, IReadOnlyList<GuestName> names)
    {
        const string Path = "/etc/hosts";
        const string Next = "/etc/.hosts.nanovms";
        var hosts = new StringBuilder($"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
        hosts.Append(config.Network?.Address.ToString() ?? "127.0.1.1").Append('\t').Append(config.Hostname).Append('\n');
        foreach (var (host, address) in config.Hosts)
            hosts.Append(address).Append('\t').Append(host).Append('\n');
        foreach (var name in names)
            hosts.Append(name.Address).Append('\t').Append(name.Name).Append('\n');
        Files.Write(Next, hosts.ToString());
        if (Files.TryRename(Next, Path))
            return;
        Files.TryUnlink(Next);
        Files.Write(Path, hosts.ToString());
    }

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

    /// <summary>Gives a clone numbers of its own: of the machine, where its image has one, and of the boot.</summary>
    public static void Renew()
    {
        if (Files.Exists(MachineId))
            Files.Write(MachineId, Guid.NewGuid().ToString("N") + "\n");

        // The kernel makes up its boot id once; programs that read the file see another by one laid over it.
        Files.Write(NewBootId, Guid.NewGuid() + "\n", 0x124);
        Mounts.Bind(NewBootId, BootId);
    }
}

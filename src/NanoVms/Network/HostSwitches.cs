using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>What the kernel says of its network, and what it is told, by files.</summary>
internal static class HostSwitches
{
    public const string Forwarding = "/proc/sys/net/ipv4/ip_forward";

    public static async Task<bool> OthersForwardAsync(CancellationToken cancellationToken)
    {
        var tables = await CommandRunner.RunAsync(new Command("nft", "list", "tables"), cancellationToken);
        return tables.StandardOutput.Contains("inet byteport_", StringComparison.Ordinal);
    }

    public static void DisableIpv6(string device)
    {
        var path = $"/proc/sys/net/ipv6/conf/{device}/disable_ipv6";
        // Missing on a kernel without IPv6.
        if (File.Exists(path))
            File.WriteAllText(path, "1");
    }

    public static void Switch(string name, string value) => File.WriteAllText($"/proc/sys/net/ipv4/{name}", value);

    public static bool Exists(string device) => Directory.Exists($"/sys/class/net/{device}");

    public static bool ReadForwarding() => ReadOrEmpty(Forwarding).Trim() == "1";

    public static int? MtuOf(string device) =>
        int.TryParse(ReadOrEmpty($"/sys/class/net/{device}/mtu"), CultureInfo.InvariantCulture, out var mtu) ? mtu : null;

    public static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}

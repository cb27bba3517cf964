using System.Globalization;
using System.Net;
using System.Text.Json;

namespace NanoVms.Network;

/// <summary>Reads what the computer routes already, so that the guests' network does not cover it.</summary>
internal static class HostRoutes
{
    private const int DefaultMtu = 1500;

    /// <summary>Every destination of <c>ip -json -4 route show table all</c> but the default route and those of one interface.</summary>
    public static IReadOnlyList<Ipv4Prefix> Parse(string json, string exceptInterface)
    {
        var prefixes = new List<Ipv4Prefix>();
        using var document = JsonDocument.Parse(json);
        foreach (var route in document.RootElement.EnumerateArray())
        {
            if (route.TryGetProperty("dev", out var device) && device.GetString() == exceptInterface)
                continue;
            if (route.TryGetProperty("dst", out var destination) && Ipv4Prefix.TryParse(destination.GetString(), out var prefix) && prefix.Length > 0)
                prefixes.Add(prefix);
        }

        return prefixes;
    }

    /// <summary>The wanted prefix, or the next of its size in 10.0.0.0/8 that covers nothing of <paramref name="taken"/>.</summary>
    /// <exception cref="NetworkException">All of 10.0.0.0/8 is taken.</exception>
    public static Ipv4Prefix ChooseFree(Ipv4Prefix wanted, IReadOnlyCollection<Ipv4Prefix> taken)
    {
        if (!taken.Any(wanted.Overlaps))
            return wanted;

        var size = wanted.Count;
        var all = Ipv4Prefix.Parse("10.0.0.0/8");
        var start = all.Contains(wanted.At(0)) ? (Ipv4Prefix.ToNumber(wanted.At(0)) - Ipv4Prefix.ToNumber(all.At(0))) / size : 0;
        var places = all.Count / size;
        for (var i = 1; i < places; i++)
        {
            var address = all.At((start + i) % places * size);
            var candidate = Ipv4Prefix.Parse($"{address}/{wanted.Length.ToString(CultureInfo.InvariantCulture)}");
            if (!taken.Any(candidate.Overlaps))
                return candidate;
        }

        throw new NetworkException($"No free /{wanted.Length} is left in 10.0.0.0/8 on this computer. Choose another NetworkOptions.Prefix.");
    }

    /// <summary>The addresses of <c>nameserver</c> lines.</summary>
    public static IReadOnlyList<IPAddress> NameServers(string resolvConf) =>
    [
        .. resolvConf
            .Split('\n', StringSplitOptions.TrimEntries)
            .Select(line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words.Length > 1 && words[0] == "nameserver")
            .Select(words => IPAddress.TryParse(words[1], out var address) ? address : null)
            .OfType<IPAddress>(),
    ];

    /// <summary>MTU of the interface that the default route leaves by (from <c>/proc/net/route</c>); 1500 without one.</summary>
    public static int EgressMtu(string routeTable, Func<string, int?> mtuOf)
    {
        var device = routeTable
            .Split('\n')
            .Skip(1)
            .Select(line => line.Split('\t', StringSplitOptions.TrimEntries))
            .Where(fields => fields.Length > 7 && fields[1] == "00000000" && fields[7] == "00000000")
            .OrderBy(fields => int.TryParse(fields[6], CultureInfo.InvariantCulture, out var metric) ? metric : int.MaxValue)
            .Select(fields => fields[0])
            .FirstOrDefault();
        return device is null ? DefaultMtu : mtuOf(device) ?? DefaultMtu;
    }
}

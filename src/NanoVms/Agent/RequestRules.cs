using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>Refuses on the host what a guest could not do as asked, or would do otherwise than asked.</summary>
internal static class RequestRules
{
    private const int MaxHostName = 63;
    private const int MaxDriveName = 16;
    private const int MaxAccount = 256;
    private const int MaxPath = 4000;

    public static void Check(ProcessSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        if (spec.Command.Count == 0 || spec.Command[0].Length == 0)
            throw new ArgumentException("The command is empty: give a program.", nameof(spec));
        foreach (var argument in spec.Command)
            CheckText(argument, "an argument of the command");
        foreach (var (name, value) in spec.Environment)
        {
            if (name.Length == 0 || name.Contains('=', StringComparison.Ordinal))
                throw new ArgumentException($"The variable name '{name}' is empty or holds '='.", nameof(spec));
            CheckText(name, "a variable's name");
            CheckText(value, $"the variable {name}");
        }

        CheckText(spec.WorkingDirectory, "the working folder");
        if (!spec.WorkingDirectory.StartsWith('/'))
            throw new ArgumentException($"The working folder '{spec.WorkingDirectory}' is not absolute.", nameof(spec));
        if (spec.Account is { } account && (account.Length is 0 or > MaxAccount || account.Any(char.IsControl)))
            throw new ArgumentException($"The account '{account}' is not 1 to {MaxAccount} printable characters.", nameof(spec));
        if (spec.Terminal is { } size)
            Check(size);
        foreach (var limit in spec.Limits)
        {
            if (!Enum.IsDefined(limit.Kind) || limit.Soft > limit.Hard || spec.Limits.Count(l => l.Kind == limit.Kind) > 1)
                throw new ArgumentException($"The limit {limit.Kind} of {limit.Soft}, at most {limit.Hard}, is of no known kind, above its maximum or there twice.", nameof(spec));
        }
    }

    public static void Check(TerminalSize size)
    {
        if (size.Columns is < 1 or > ushort.MaxValue || size.Rows is < 1 or > ushort.MaxValue)
            throw new ArgumentOutOfRangeException(nameof(size), $"A terminal of {size.Columns} columns and {size.Rows} rows is not 1 to 65535 of each.");
    }

    public static void CheckGuestPath(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        CheckText(path, "the path");
        if (path.Length is 0 or > MaxPath || path[0] != '/' || path.Split('/').Any(p => p is "." or ".."))
            throw new ArgumentException($"The guest's path '{path}' is not absolute, holds '.' or '..', or is longer than {MaxPath}.", nameof(path));
    }

    public static void CheckSignal(int signal)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(signal, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(signal, 64);
    }

    public static void CheckServiceName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length is 0 or > Wire.MaxServiceName || !IsName(name))
            throw new ArgumentException($"The service name '{name}' is not 1 to {Wire.MaxServiceName} of a-z 0-9 -.", nameof(name));
    }

    public static void Check(GuestConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        CheckHostName(config.Hostname, nameof(config));
        foreach (var name in config.Drives.Keys)
        {
            if (name.Length is 0 or > MaxDriveName || !IsName(name))
                throw new ArgumentException($"The drive name '{name}' is not 1 to {MaxDriveName} of a-z 0-9 -.", nameof(config));
        }

        CheckHosts(config.Hosts, nameof(config));
        if (config.Network is { } network)
            Check(network);
        CheckHooks(config.BeforeShutdown, nameof(config));
        if (config.ReadOnlyRoot && config.LayerDevices.Count == 0)
            throw new ArgumentException("A read-only root needs layers: without any the root is memory that must be written.", nameof(config));
        CheckSeed(config.RandomSeed, nameof(config));
    }

    public static void CheckHooks(IReadOnlyList<HookSpec> hooks, string parameter)
    {
        if (hooks.Count > Wire.MaxHooks)
            throw new ArgumentException($"There are {hooks.Count} hooks; at most {Wire.MaxHooks} are possible.", parameter);
        foreach (var hook in hooks)
        {
            Check(hook.Process);
            if (hook.Limit < TimeSpan.FromSeconds(1) || hook.Limit > TimeSpan.FromHours(1))
                throw new ArgumentException($"The time limit {hook.Limit} of a hook is not 1 s to 1 h.", parameter);
        }
    }

    public static void Check(ThawConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (config.Hostname is { } name)
            CheckHostName(name, nameof(config));
        if (config.Hosts is { } hosts)
            CheckHosts(hosts, nameof(config));
        if (config.Network is { } network)
            Check(network);
        if (config.MacAddress is { } mac)
            CheckMac(mac, nameof(config));
        CheckSeed(config.RandomSeed, nameof(config));
    }

    public static void Check(IReadOnlyList<GuestName> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        if (names.Count > Wire.MaxNames)
            throw new ArgumentException($"There are {names.Count} names; at most {Wire.MaxNames} are possible.", nameof(names));
        foreach (var name in names)
            CheckHost(name.Name, nameof(names));
    }

    public static void Check(IReadOnlyList<GuestCard> cards)
    {
        ArgumentNullException.ThrowIfNull(cards);
        if (cards.Count >= Wire.MaxCards)
            throw new ArgumentException($"There are {cards.Count} further cards; at most {Wire.MaxCards - 1} are possible.", nameof(cards));
        foreach (var card in cards)
        {
            CheckMac(card.MacAddress, nameof(cards));
            Check(card.Network);
        }
    }

    public static void CheckSeed(ReadOnlyMemory<byte> seed, string parameter)
    {
        if (seed.Length is < Wire.MinSeed or > Wire.MaxSeed)
            throw new ArgumentException($"The random seed has {seed.Length} bytes, not {Wire.MinSeed} to {Wire.MaxSeed}.", parameter);
    }

    public static ProcessExit ReadExit(ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        return Messages.ReadExit(ref reader);
    }

    private static void CheckHostName(string name, string parameter)
    {
        if (name.Length is 0 or > MaxHostName || !IsName(name))
            throw new ArgumentException($"The host name '{name}' is not 1 to {MaxHostName} of a-z 0-9 -.", parameter);
    }

    private static void CheckHosts(IReadOnlyDictionary<string, string> hosts, string parameter)
    {
        foreach (var (host, address) in hosts)
        {
            CheckHost(host, parameter);
            if (!IPAddress.TryParse(address, out _))
                throw new ArgumentException($"The address '{address}' of the host {host} is no IP address.", parameter);
        }
    }

    private static void CheckHost(string host, string parameter)
    {
        if (host.Length == 0 || host.Any(c => char.IsWhiteSpace(c) || c is '#' || char.IsControl(c)))
            throw new ArgumentException($"The host name '{host}' holds blanks or is empty.", parameter);
    }

    private static void CheckMac(string mac, string parameter)
    {
        if (!PhysicalAddress.TryParse(mac, out var parsed) || parsed.GetAddressBytes().Length != 6 || !mac.Contains(':'))
            throw new ArgumentException($"The MAC address '{mac}' is not six bytes as 02:42:0a:00:00:01.", parameter);
    }

    private static void Check(GuestNetwork network)
    {
        if (network.Address.AddressFamily != AddressFamily.InterNetwork)
            throw new ArgumentException($"The guest's address {network.Address} is not IPv4.");
        if (network.PrefixLength is < 1 or > 32)
            throw new ArgumentException($"The guest's prefix length {network.PrefixLength} is not 1 to 32.");
        if (network.Mtu is < 576 or > 65535)
            throw new ArgumentException($"The guest's MTU {network.Mtu} is not 576 to 65535.");
    }

    private static bool IsName(string text) => text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    private static void CheckText(string text, string what)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException($"A zero byte is in {what}: no program can be given that.");
    }
}

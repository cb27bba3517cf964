using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Drivers;
using NanoVms.Pci;

namespace NanoVms.Machines;

/// <summary>What a specification must be before anything is made for it. All breaches are found, not the first.</summary>
internal static partial class MachineSpecRules
{
    private const int ErofsMagicOffset = 1024;
    private const int MaxPorts = 64;
    private const int MaxSharedFolders = 16;
    private const int MaxGroup = 200;
    private const uint ErofsMagic = 0xe0f5e1e2;

    /// <summary>Checks a specification and chooses its driver.</summary>
    /// <exception cref="MachineException">Names each value that is wrong and what would be right.</exception>
    /// <param name="more">What the host cannot do of it; null for nothing.</param>
    public static IMachineDriver Check(MachineSpec spec, MachineDrivers drivers, Func<MachineSpec, IEnumerable<string>>? more = null)
    {
        var errors = Find(spec).Concat(more?.Invoke(spec) ?? []).ToList();
        var driver = drivers.Find(spec.Driver);
        errors.AddRange(driver?.FindErrors(spec) ?? [$"Driver '{spec.Driver}' does not exist; choose one of {drivers.Choices}."]);
        if (driver is not null && spec.MachineType != MachineType.Auto && !driver.Capabilities.HasFlag(DriverCapabilities.PciDevices))
            errors.Add($"Driver '{driver.Name}' has one type of machine; '{spec.MachineType}' is QEMU's. Choose driver 'qemu' or leave the type out.");
        if (driver is not null && spec.PciDevices.Count + spec.PciKinds.Count > 0 && !driver.Capabilities.HasFlag(DriverCapabilities.PciDevices))
            errors.Add($"Driver '{driver.Name}' gives no PCI devices to machines; choose driver 'qemu'.");
        return errors.Count == 0 ? driver! : throw new MachineException($"Machine '{spec.Name}' cannot be made: {string.Join(' ', errors)}");
    }

    internal static IEnumerable<string> Find(MachineSpec spec)
    {
        if (!IsName(spec.Name, 60))
            yield return $"Name '{spec.Name}' is not 1 to 60 of a-z, 0-9 and '-'.";
        if (spec.Cpus is < 1 or > 64)
            yield return $"Cpus is {spec.Cpus}; it must be 1 to 64.";
        if (spec.CpuLimit is { } limit && !(limit >= 0.01))
            yield return $"CpuLimit is {limit}; it must be 0.01 processors or more.";
        foreach (var error in spec.Io?.FindErrors() ?? [])
            yield return error;
        if (spec.BootBurst < TimeSpan.Zero)
            yield return $"BootBurst is {spec.BootBurst}; it must not be negative.";
        if (spec.MemoryMiB is < 64 or > 1 << 20)
            yield return $"MemoryMiB is {spec.MemoryMiB}; it must be 64 to {1 << 20}.";
        if (spec.DiskBytes is < 16L << 20 or > 16L << 40)
            yield return $"DiskBytes is {spec.DiskBytes}; it must be 16 MiB to 16 TiB.";

        foreach (var error in spec.Layers.Select(LayerError).Concat(spec.Drives.Select(DriveError)).OfType<string>())
            yield return error;
        foreach (var name in spec.Drives.GroupBy(d => d.Name).Where(g => g.Count() > 1).Select(g => g.Key))
            yield return $"Drive '{name}' is there more than once.";
        if (spec.Ports.Count > MaxPorts)
            yield return $"{spec.Ports.Count} ports are too many; {MaxPorts} are possible.";
        if (spec.Ports.Count > 0 && !MachineCards.HasDefault(spec))
            yield return $"Ports need the network '{NetworkCard.Default}', and the machine is not in it.";
        foreach (var error in NetworkErrors(spec).Concat(spec.Rate?.FindErrors() ?? []))
            yield return error;
        foreach (var error in spec.Ports.SelectMany(port => port.FindErrors()))
            yield return error;
        if (spec.Group.Length > MaxGroup)
            yield return $"Group has {spec.Group.Length} characters; at most {MaxGroup} are possible.";
        if (spec.GroupName is { } groupName && (!IsName(groupName, 63) || (spec.Group.Length == 0 && spec.Networks.Count == 0)))
            yield return $"GroupName '{groupName}' is not 1 to 63 of a-z, 0-9 and '-', or there is neither a Group nor a private network.";
        if (spec.ReadOnlyRoot && spec.Layers.Count == 0)
            yield return "ReadOnlyRoot is set without layers; give the machine at least one.";
        if (spec.DiskPath is { } disk && !Path.IsPathRooted(disk))
            yield return $"DiskPath '{disk}' is not absolute.";
        if (spec.SharedFolders.Count > MaxSharedFolders)
            yield return $"{spec.SharedFolders.Count} shared folders are too many; {MaxSharedFolders} are possible.";
        foreach (var shared in spec.SharedFolders.Where(shared => !Path.IsPathRooted(shared.HostPath) || !IsGuestFolder(shared.GuestPath)))
            yield return $"The shared folder '{shared.HostPath}' at '{shared.GuestPath}' needs two absolute paths, without '.' and '..', and not the root.";
        if (spec.StopSignal is < 1 or > 64)
            yield return $"StopSignal is {spec.StopSignal}; it must be 1 to 64.";
        foreach (var address in spec.PciDevices.Where(address => !PciAddress().IsMatch(address)))
            yield return $"PCI device '{address}' is not named by an address such as 0000:01:00.0.";
        foreach (var kind in spec.PciKinds.Where(kind => !PciKind.IsKind(kind)))
            yield return $"'{kind}' is no kind of PCI devices; choose one of {PciKind.All}, a class such as 0302, or vendor and device such as 10de:1eb8.";
        if (spec.PciDevices.Count + spec.PciKinds.Count > 0 && spec.MachineType == MachineType.Microvm)
            yield return "A microvm has no PCI; choose the type q35, or leave it out.";
        if (HookError(spec) is { } hooks)
            yield return hooks;
        foreach (var (name, address) in spec.Hosts)
        {
            if (!IPAddress.TryParse(address, out var parsed) || parsed.AddressFamily != AddressFamily.InterNetwork)
                yield return $"Host '{name}' has the address '{address}', which is not IPv4.";
        }
    }

    private static bool IsGuestFolder(string path) =>
        path.Length is > 1 and <= 4000 && path[0] == '/' && path[1..].Split('/').All(part => part is not ("" or "." or ".."));

    private static IEnumerable<string> NetworkErrors(MachineSpec spec)
    {
        if (spec.Networks.Count > Wire.MaxCards)
            yield return $"{spec.Networks.Count} networks are too many; {Wire.MaxCards} are possible.";
        if (spec.Networks.Count > 0 && spec.Network == NetworkMode.None)
            yield return "Networks are given, and Network says that there is none.";
        foreach (var name in spec.Networks.GroupBy(card => card.Network).Where(cards => cards.Count() > 1).Select(cards => cards.Key))
            yield return $"The network '{name}' is there more than once.";
        foreach (var card in spec.Networks.Where(card => !IsName(card.Network, 39)))
            yield return $"The network '{card.Network}' is not 1 to 39 of a-z, 0-9 and '-'.";
        if (spec.Networks.Any(card => card is { IsDefault: true, IsRouter: true }))
            yield return $"The router of the network '{NetworkCard.Default}' is the host.";
        if (MachineCards.IsRouter(spec) && spec.Networks.Count < 2)
            yield return "A router needs a second network to pass packets on to.";
    }

    private static string? HookError(MachineSpec spec)
    {
        try
        {
            RequestRules.CheckHooks(spec.BeforeShutdown, nameof(spec.BeforeShutdown));
            return null;
        }
        catch (ArgumentException e)
        {
            return $"BeforeShutdown: {e.Message}";
        }
    }

    private static string? LayerError(string path)
    {
        try
        {
            if (!Path.IsPathRooted(path))
                return $"Layer '{path}' is not an absolute path.";
            using var file = File.OpenHandle(path);
            Span<byte> magic = stackalloc byte[4];
            return RandomAccess.Read(file, magic, ErofsMagicOffset) == 4 && BinaryPrimitives.ReadUInt32LittleEndian(magic) == ErofsMagic
                ? null
                : $"Layer '{path}' is not an EROFS image.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"Layer '{path}' cannot be read: {e.Message}";
        }
    }

    private static string? DriveError(DriveSpec drive) => drive switch
    {
        _ when !IsName(drive.Name, 16) => $"Drive name '{drive.Name}' is not 1 to 16 of a-z, 0-9 and '-'.",
        _ when !Path.IsPathRooted(drive.Path) => $"Drive '{drive.Name}' has the path '{drive.Path}', which is not absolute.",
        _ when !File.Exists(drive.Path) => $"Drive '{drive.Name}' has no file at '{drive.Path}'.",
        _ => null,
    };

    [GeneratedRegex("^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]\\z")]
    private static partial Regex PciAddress();

    internal static bool IsName(string name, int length) =>
        name.Length > 0 && name.Length <= length && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');
}

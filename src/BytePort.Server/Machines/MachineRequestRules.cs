using System.Text;
using BytePort.Manifest.Hac;

namespace BytePort.Server.Machines;

/// <summary>What a request must be before anything is made for it. All breaches are found, not the first.</summary>
internal static class MachineRequestRules
{
    private const int MaxCores = 64;
    private const int MinMemoryMiB = 64;
    private const int MaxMemoryMiB = 1 << 20;
    private const long MinDriveBytes = 16L << 20;
    private const long MaxDriveBytes = 16L << 40;
    private const int MaxTextBytes = 64 * 1024;
    private const int MaxVariables = 256;
    private const int MaxArguments = 256;
    private const int MaxPorts = 64;
    private const int MaxDevices = 16;
    private const int MinHostPort = 1024;
    private const int MaxShown = 60;
    private const int MaxName = 60;

    /// <exception cref="MachineFaultException">Names each value that is wrong and what would be right, or what this platform cannot do.</exception>
    /// <param name="most">What the platform allows.</param>
    public static void Check(MachineRequest request, MachineLimits most)
    {
        var errors = Find(request).ToList();
        if (errors.Count > 0)
            throw new MachineFaultException(MachineFault.Invalid, string.Join(' ', errors));
        var missing = FindUnsupported(request, most).ToList();
        if (missing.Count > 0)
            throw new MachineFaultException(MachineFault.Unsupported, string.Join(' ', missing));
    }

    private static IEnumerable<string> Find(MachineRequest request)
    {
        if (!IsName(request.Name, MaxName))
            yield return $"The name '{Shorten(request.Name)}' is not 1 to 60 of a-z, 0-9 and -.";
        if (request.Description is { Length: > 1000 })
            yield return $"The description has {request.Description.Length} characters; 1000 are the most.";
        if (request.Cores is < 1 or > MaxCores)
            yield return $"cores is {request.Cores}; it must be 1 to {MaxCores}.";
        if (request.MemoryMiB is < MinMemoryMiB or > MaxMemoryMiB)
            yield return $"memory is {request.MemoryMiB} MiB; it must be {MinMemoryMiB} to {MaxMemoryMiB}.";
        if (request.DriveBytes is < MinDriveBytes or > MaxDriveBytes)
            yield return $"drive is {request.DriveBytes} bytes; it must be 16 MiB to 16 TiB.";
        if (request.Os is not null && request.Ref.Length > 0)
            yield return "Give either ref or os: each says what the root is made of.";
        if (request.Os is null && ImageReference.Parse(request.Ref) is null)
            yield return $"'{Shorten(request.Ref)}' is neither a stack such as node@22 nor an image such as docker.io/library/alpine:3.20.";
        if (request.Interfaces.Count > 8 || request.Interfaces.Any(name => !IsName(name, 39)))
            yield return "interface must be up to 8 names of networks: 1 to 39 of a-z, 0-9 and -.";
        if (request.PciDevices.Count > MaxDevices || request.PciKinds.Count > MaxDevices || request.PciDevices.Concat(request.PciKinds).Any(text => text.Length is 0 or > 20 || text.Any(char.IsControl)))
            yield return $"There may be {MaxDevices} PCI devices and {MaxDevices} kinds, each as 'byteport machine pci ls' shows them.";
        if (request.MachineType is not (HacFile.Auto or "microvm" or "q35"))
            yield return $"'{Shorten(request.MachineType)}' is no type of machine; choose auto, microvm or q35.";
        if (request.Interfaces.Distinct().Count() != request.Interfaces.Count)
            yield return "interface names a network twice.";
        if (request.Routes.FirstOrDefault(name => name == HacFile.DefaultInterface || !request.Interfaces.Contains(name)) is { } route)
            yield return $"router names '{Shorten(route)}', which is no private network of interface.";
        if (request.Routes.Count > 0 && request.Interfaces.Count < 2)
            yield return "A router passes packets on between networks: interface must name two or more.";
        if (!IsName(request.Driver, 39))
            yield return $"'{Shorten(request.Driver)}' is no driver's name.";
        if (request.Command.Count > MaxArguments || request.Command.Sum(Encoding.UTF8.GetByteCount) > MaxTextBytes)
            yield return $"The command may have {MaxArguments} arguments of {MaxTextBytes / 1024} KiB together.";
        if (request.Command.Any(argument => argument.Contains('\0', StringComparison.Ordinal)) || request.Command is ["", ..])
            yield return "The command's program must not be empty, and no argument may hold a zero.";
        if (request.Ports.Count > 0 && !request.Interfaces.Contains(HacFile.DefaultInterface))
            yield return $"A machine that is not in the network '{HacFile.DefaultInterface}' has no ports to publish.";
        foreach (var limit in MachineLimit.All.Where(limit => limit.Get(request.Limits) is { } value && !limit.Allows(value)))
            yield return $"limits.{limit.Member} is {limit.Get(request.Limits)} a second; it must be {limit.Least} to {limit.Most}.";
        foreach (var error in FindEnvironment(request.Environment).Concat(FindPorts(request.Ports)))
            yield return error;
    }

    private static IEnumerable<string> FindEnvironment(IReadOnlyDictionary<string, string> environment)
    {
        if (environment.Count > MaxVariables || environment.Sum(pair => Encoding.UTF8.GetByteCount(pair.Key) + Encoding.UTF8.GetByteCount(pair.Value)) > MaxTextBytes)
            yield return $"There may be {MaxVariables} variables of {MaxTextBytes / 1024} KiB together.";
        foreach (var name in environment.Keys.Where(name => name.Length == 0 || name.AsSpan().ContainsAny('=', '\0')).Take(5))
            yield return $"'{Shorten(name)}' is no variable's name.";
        foreach (var (name, _) in environment.Where(pair => pair.Value.Contains('\0', StringComparison.Ordinal)).Take(5))
            yield return $"The variable '{Shorten(name)}' holds a zero.";
    }

    private static IEnumerable<string> FindPorts(IReadOnlyDictionary<int, int> ports)
    {
        if (ports.Count > MaxPorts)
            yield return $"{ports.Count} ports are too many; {MaxPorts} are the most.";
        // Those below belong to the host's own services, whoever of its users asks.
        foreach (var (host, guest) in ports.Where(pair => pair.Key is < MinHostPort or > 65535 || pair.Value is < 1 or > 65535).Take(5))
            yield return $"The port {host} to {guest} cannot be published: the host's is {MinHostPort} to 65535, the guest's 1 to 65535.";
    }

    private static IEnumerable<string> FindUnsupported(MachineRequest request, MachineLimits most)
    {
        if (request.Kernel != HacFile.DefaultKernel)
            yield return $"A kernel of one's own is not possible here; write kernel = \"{HacFile.DefaultKernel}\".";
        foreach (var limit in MachineLimit.All.Where(limit => limit.Get(request.Limits) > limit.Get(most)))
            yield return $"limits.{limit.Member} is {limit.Get(request.Limits)} a second; this platform allows {limit.Get(most)}. Ask for no more, or ask the operator for a higher {limit.Key} in BYTEPORT_MACHINE_LIMITS.";
    }

    /// <summary>True for a name to which numbers up to a count can be added.</summary>
    public static bool IsMachineName(string name, int count) => IsName(name, count == 1 ? MaxName : MaxName - 4);

    private static bool IsName(string name, int length) =>
        name.Length > 0 && name.Length <= length && name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-');

    private static string Shorten(string text) => text.Length <= MaxShown ? text : $"{text[..MaxShown]}…";
}

using BytePort.Manifest.Hac;

namespace BytePort.Server.Machines;

/// <summary>What POST /api/v1/machines takes: the keys of hac.toml, and what else a machine may have.</summary>
/// <param name="Template">A template of the team, which says all that is left out here.</param>
/// <param name="Name">1 to 60 of a-z, 0-9 and -.</param>
/// <param name="Ref">A stack such as node@22, or an image.</param>
/// <param name="Os">An operating system of the catalogue, in place of Ref.</param>
/// <param name="Cores">Virtual processors, default 1.</param>
/// <param name="MemoryMiB">Default 256.</param>
/// <param name="DriveBytes">Size of the writable disk, default 10 GiB.</param>
/// <param name="Kernel">"default" or a path.</param>
/// <param name="Interfaces">Names of networks; empty for none.</param>
/// <param name="Routes">Those of them that the machine is the router of.</param>
/// <param name="Driver">"auto" or a driver's name.</param>
/// <param name="Command">The main process of a stack, by default none; the arguments of an image's entry point, by default its own.</param>
/// <param name="Environment">For every process of the machine.</param>
/// <param name="Ports">TCP ports of the host, each with the guest's port.</param>
/// <param name="MachineType">"auto", "microvm" or "q35".</param>
/// <param name="Persistent">Keep the writable disk for the next machine of the name, default false.</param>
/// <param name="BootMessages">Have the kernel tell the console all about the boot, default false.</param>
/// <param name="PciDevices">PCI devices of the computer, by address; for administrators.</param>
/// <param name="PciKinds">Kinds of them of which the machine gets all; for administrators.</param>
/// <param name="NestedVirtualization">Let the guest run machines itself, default false; for administrators.</param>
/// <param name="Limits">The most that it may move in a second; what is left out is as the platform allows.</param>
/// <param name="DryRun">Check everything, start nothing, answer 204.</param>
internal sealed record SpawnMachine(
    string? Name,
    string? Ref,
    string? Template,
    string? Os,
    string? Description,
    uint? Cores,
    long? MemoryMiB,
    long? DriveBytes,
    string? Kernel,
    IReadOnlyList<string?>? Interfaces,
    IReadOnlyList<string?>? Routes,
    string? Driver,
    IReadOnlyList<string?>? Command,
    IReadOnlyDictionary<string, string?>? Environment,
    IReadOnlyDictionary<int, int>? Ports,
    string? MachineType,
    bool? Persistent,
    bool? BootMessages,
    IReadOnlyList<string?>? PciDevices,
    IReadOnlyList<string?>? PciKinds,
    bool? NestedVirtualization,
    MachineLimits? Limits,
    bool? DryRun)
{
    /// <param name="template">Says what is left out here; null for a machine without one.</param>
    public MachineRequest ToRequest(HacFile? template)
    {
        // Whatever the caller leaves out, or says to be null, is as the record has it.
        var request = template is null ? new MachineRequest { Name = Name ?? "", Ref = Ref ?? "" } : MachineRequest.From(template);
        return request with
        {
            Name = Name ?? request.Name,
            // Who says one of the two means it in the place of the other.
            Ref = Ref ?? (Os is null ? request.Ref : ""),
            Os = Os ?? (Ref is null ? request.Os : null),
            Template = Template,
            Description = Description ?? request.Description,
            Cores = Cores ?? request.Cores,
            MemoryMiB = MemoryMiB ?? request.MemoryMiB,
            DriveBytes = DriveBytes ?? request.DriveBytes,
            Kernel = Kernel ?? request.Kernel,
            Interfaces = Texts(Interfaces) ?? request.Interfaces,
            Routes = Texts(Routes) ?? request.Routes,
            Driver = Driver ?? request.Driver,
            Command = Texts(Command) ?? request.Command,
            Environment = Environment?.ToDictionary(pair => pair.Key, pair => pair.Value ?? "") ?? request.Environment,
            Ports = Ports ?? request.Ports,
            MachineType = MachineType ?? request.MachineType,
            IsPersistent = Persistent ?? request.IsPersistent,
            BootMessages = BootMessages ?? request.BootMessages,
            PciDevices = Texts(PciDevices) ?? request.PciDevices,
            PciKinds = Texts(PciKinds) ?? request.PciKinds,
            NestedVirtualization = NestedVirtualization ?? request.NestedVirtualization,
            Limits = Limits?.Or(request.Limits) ?? request.Limits,
        };
    }

    private static List<string>? Texts(IReadOnlyList<string?>? items) => items?.Select(item => item ?? "").ToList();
}

namespace BytePort.Server.Machines;

/// <summary>What POST /api/v1/machines takes: the keys of hac.toml, and what else a machine may have.</summary>
/// <param name="Name">1 to 60 of a-z, 0-9 and -.</param>
/// <param name="Ref">A stack such as node@22, or an image.</param>
/// <param name="Cores">Virtual processors, default 1.</param>
/// <param name="MemoryMiB">Default 256.</param>
/// <param name="DriveBytes">Size of the writable disk, default 10 GiB.</param>
/// <param name="Kernel">"default" or a path.</param>
/// <param name="Interfaces">Names of networks; empty for none.</param>
/// <param name="Driver">"auto" or a driver's name.</param>
/// <param name="Command">The main process of a stack, by default none; the arguments of an image's entry point, by default its own.</param>
/// <param name="Environment">For every process of the machine.</param>
/// <param name="Ports">TCP ports of the host, each with the guest's port.</param>
/// <param name="DryRun">Check everything, start nothing, answer 204.</param>
internal sealed record SpawnMachine(
    string Name,
    string Ref,
    string? Description,
    uint? Cores,
    long? MemoryMiB,
    long? DriveBytes,
    string? Kernel,
    IReadOnlyList<string?>? Interfaces,
    string? Driver,
    IReadOnlyList<string?>? Command,
    IReadOnlyDictionary<string, string?>? Environment,
    IReadOnlyDictionary<int, int>? Ports,
    bool? DryRun)
{
    public MachineRequest ToRequest()
    {
        // Whatever the caller leaves out, or says to be null, is as the record has it.
        var request = new MachineRequest { Name = Name ?? "", Ref = Ref ?? "" };
        return request with
        {
            Description = Description,
            Cores = Cores ?? request.Cores,
            MemoryMiB = MemoryMiB ?? request.MemoryMiB,
            DriveBytes = DriveBytes ?? request.DriveBytes,
            Kernel = Kernel ?? request.Kernel,
            Interfaces = Texts(Interfaces) ?? request.Interfaces,
            Driver = Driver ?? request.Driver,
            Command = Texts(Command) ?? request.Command,
            Environment = Environment?.ToDictionary(pair => pair.Key, pair => pair.Value ?? "") ?? request.Environment,
            Ports = Ports ?? request.Ports,
        };
    }

    private static List<string>? Texts(IReadOnlyList<string?>? items) => items?.Select(item => item ?? "").ToList();
}

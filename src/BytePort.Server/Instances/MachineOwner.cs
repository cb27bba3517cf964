namespace BytePort.Server.Instances;

/// <summary>Whose a service's machine is. Machines of one environment of a project reach each other, and no others.</summary>
internal sealed record MachineOwner(string Project, Guid Team, Guid Environment)
{
    /// <summary>As NanoVms knows the group; no other kind of machine has one that begins so.</summary>
    public string Group => $"environment:{Environment:N}";
}

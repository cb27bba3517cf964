namespace NanoVms.Machines;

public enum NetworkMode
{
    /// <summary>No network card at all.</summary>
    None,

    /// <summary>A tap on the host's bridge: out to the internet by masquerade, in from the host only.</summary>
    Nat,
}

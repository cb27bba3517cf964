namespace BytePort.Server.Deployments;

/// <summary>A step cannot succeed for a reason that the user can act on; nothing of the old release was touched.</summary>
internal sealed class DeploymentFailure(string code, string message) : Exception(message)
{
    /// <summary>Stable word for programs.</summary>
    public string Code { get; } = code;
}

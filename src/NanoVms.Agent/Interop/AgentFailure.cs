namespace NanoVms.Agent.Interop;

/// <summary>A request cannot be done; the message goes to the host.</summary>
internal sealed class AgentFailure(string message) : Exception(message)
{
    /// <summary>For a system call that just failed.</summary>
    public static AgentFailure Of(string doing) => new($"{doing}: {Errno.Describe(Errno.Last)}");
}

namespace NanoVms.Agent;

/// <summary>The guest's agent refused a request, answered nonsense, or could not be reached. The message says which.</summary>
public sealed class AgentException : Exception
{
    public AgentException(string message)
        : base(message)
    {
    }

    public AgentException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public AgentException()
    {
    }

    /// <summary>True when the channel ended or was silent: a new connection may succeed. False when the agent answered with an error.</summary>
    public bool IsTransient { get; init; }
}

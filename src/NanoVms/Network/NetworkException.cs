namespace NanoVms.Network;

/// <summary>The guests' network cannot be set up on this computer. The message says what is in the way and what to do.</summary>
public sealed class NetworkException : Exception
{
    public NetworkException(string message)
        : base(message)
    {
    }

    public NetworkException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public NetworkException()
    {
    }
}

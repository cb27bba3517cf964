namespace NanoVms.Images;

/// <summary>An image does not exist or could not be made. The message says which, why and what to do.</summary>
public sealed class ImageException : Exception
{
    public ImageException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>True when the same call may succeed later, unchanged (the network was away, for example).</summary>
    public bool IsTransient { get; init; }
}

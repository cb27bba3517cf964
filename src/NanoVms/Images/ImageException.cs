namespace NanoVms.Images;

/// <summary>Why an image cannot be had or changed.</summary>
public enum ImageFault
{
    /// <summary>It could not be made or fetched.</summary>
    Failed = 0,

    /// <summary>There is none of that name.</summary>
    NotFound,

    /// <summary>What was asked for is malformed or refused.</summary>
    Invalid,

    /// <summary>Something needs it.</summary>
    InUse,
}

/// <summary>An image does not exist or could not be made. The message says which, why and what to do.</summary>
public sealed class ImageException : Exception
{
    public ImageException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    public ImageFault Fault { get; init; }

    /// <summary>True when the same call may succeed later, unchanged (the network was away, for example).</summary>
    public bool IsTransient { get; init; }
}

namespace BytePort.Builds.Detection;

/// <summary>The source is no project that can be deployed: the manifest is wrong, or nothing known was found.</summary>
public sealed class DetectionException : Exception
{
    public DetectionException(string code, IReadOnlyList<string> errors)
        : base(string.Join('\n', errors))
    {
        Code = code;
        Errors = errors;
    }

    /// <summary>One of <see cref="DetectionErrors"/>: stable.</summary>
    public string Code { get; }

    /// <summary>All that is wrong, each with file and line where there is one.</summary>
    public IReadOnlyList<string> Errors { get; }
}

/// <summary>The codes of <see cref="DetectionException"/>. Persisted and public: they only grow.</summary>
public static class DetectionErrors
{
    /// <summary>byteport.yaml or a file it builds on is malformed or contradicts the source.</summary>
    public const string Invalid = "manifest_invalid";

    /// <summary>No manifest, and nothing in the files that is known.</summary>
    public const string Nothing = "nothing_detected";
}

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

    /// <summary><c>manifest_invalid</c> or <c>nothing_detected</c>: stable.</summary>
    public string Code { get; }

    /// <summary>All that is wrong, each with file and line where there is one.</summary>
    public IReadOnlyList<string> Errors { get; }
}

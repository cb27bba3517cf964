namespace BytePort.Builds.Services;

/// <summary>A service could not be built. The message says what happened and what to do.</summary>
public sealed class BuildException : Exception
{
    public BuildException(string code, string message, Exception? inner = null)
        : base(message, inner) => Code = code;

    /// <summary>One of <see cref="BuildErrors"/>: stable.</summary>
    public string Code { get; }

    /// <summary>The command's exit code, when it had one.</summary>
    public int? ExitCode { get; init; }

    /// <summary>True when the same build may succeed later, unchanged.</summary>
    public bool IsTransient => Code is BuildErrors.MachineFailed or BuildErrors.StackUnavailable;
}

/// <summary>The codes of <see cref="BuildException"/>. Persisted and public: they only grow.</summary>
public static class BuildErrors
{
    /// <summary>The install or build command ended with a non-zero exit code.</summary>
    public const string BuildFailed = "build_failed";

    public const string OutOfMemory = "build_out_of_memory";

    public const string TimedOut = "build_timed_out";

    public const string DiskFull = "build_disk_full";

    /// <summary>The output folder does not exist or is empty after the build.</summary>
    public const string OutputMissing = "build_output_missing";

    /// <summary>The output holds a link out of its folder, or another entry that is not allowed.</summary>
    public const string OutputRefused = "build_output_refused";

    public const string OutputTooLarge = "build_output_too_large";

    /// <summary>The service's folder is not in the source.</summary>
    public const string PathMissing = "build_path_missing";

    /// <summary>The runtime image does not exist or could not be made.</summary>
    public const string StackUnavailable = "build_stack_unavailable";

    /// <summary>The build's machine did not start, or died.</summary>
    public const string MachineFailed = "build_machine_failed";
}

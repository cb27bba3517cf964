namespace BytePort.Builds.Sources;

/// <summary>Source was refused or could not be had; nothing of it is kept.</summary>
public sealed class SourceException : Exception
{
    public SourceException(string code, string message, Exception? inner = null)
        : base(message, inner) => Code = code;

    /// <summary>One of <see cref="SourceErrors"/>: stable.</summary>
    public string Code { get; }

    /// <summary>True when the same fetch may succeed later, unchanged.</summary>
    public bool IsTransient => Code is SourceErrors.Unreachable or SourceErrors.TimedOut;
}

/// <summary>The codes of <see cref="SourceException"/>. Persisted and public: they only grow.</summary>
public static class SourceErrors
{
    /// <summary>An entry's name, kind or link is not allowed; the message names it.</summary>
    public const string BadEntry = "source_bad_entry";

    /// <summary>The archive is damaged or of an unknown kind.</summary>
    public const string BadArchive = "source_bad_archive";

    public const string TooLarge = "source_too_large";

    public const string TooManyFiles = "source_too_many_files";

    /// <summary>Nothing in it.</summary>
    public const string Empty = "source_empty";

    /// <summary>The URL's scheme or form is not allowed.</summary>
    public const string BadUrl = "source_bad_url";

    /// <summary>The name of a branch, tag or commit is malformed or does not exist.</summary>
    public const string BadRef = "source_bad_ref";

    /// <summary>No such repository, or it needs credentials.</summary>
    public const string NotFound = "source_not_found";

    public const string Unreachable = "source_unreachable";

    public const string TimedOut = "source_timed_out";

    /// <summary>Git failed for another reason; the message has its last lines.</summary>
    public const string GitFailed = "source_git_failed";
}

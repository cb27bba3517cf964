namespace BytePort.Manifest;

/// <summary>One thing that is wrong in a manifest.</summary>
/// <param name="File">The name that the reader was given.</param>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1.</param>
/// <param name="Message">What is wrong, with the key and the value.</param>
/// <param name="Suggestion">What to do about it, as a sentence; null when nothing is close.</param>
public sealed record ManifestError(string File, int Line, int Column, string Message, string? Suggestion = null)
{
    /// <summary>The form that editors and terminals recognise: <c>file:line:column: message</c>.</summary>
    public override string ToString() => $"{File}:{Line}:{Column}: {Message}{(Suggestion is null ? "" : $" {Suggestion}")}";
}

/// <summary>The outcome of reading a manifest: it, or all of its errors.</summary>
/// <param name="Manifest">Null exactly when there are errors.</param>
/// <param name="Errors">Every error found, in the order of the file.</param>
public sealed record ManifestResult(ProjectManifest? Manifest, IReadOnlyList<ManifestError> Errors);

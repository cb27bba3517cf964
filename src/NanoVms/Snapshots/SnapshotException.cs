namespace NanoVms.Snapshots;

/// <summary>A snapshot is incomplete, damaged, or of another machine's kind. Nothing was started; a cold boot is always possible.</summary>
public sealed class SnapshotException : Exception
{
    public SnapshotException(string message)
        : base(message)
    {
    }

    public SnapshotException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public SnapshotException()
    {
    }

    internal static void ThrowIfDamaged(string folder, string name, uint[] expected, uint[] found)
    {
        if (!expected.AsSpan().SequenceEqual(found))
            throw new SnapshotException($"Snapshot {folder} is damaged: '{name}' is not what was saved. Delete it and start the machine anew.");
    }
}

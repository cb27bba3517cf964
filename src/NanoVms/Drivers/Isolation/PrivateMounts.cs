namespace NanoVms.Drivers.Isolation;

/// <summary>Where drivers mount what only one machine's processes see.</summary>
internal static class PrivateMounts
{
    /// <summary>The same for every machine: each has its own mounts there.</summary>
    public const string Folder = "/run/nanovms";
}

using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Lines for the console, where a human looks when the channel to the host does not work.</summary>
internal static class KernelLog
{
    /// <summary>At a level that shows on a quiet console.</summary>
    public static void Error(string message) => Files.TryWrite("/dev/kmsg", $"<3>nanovms-agent: {message}\n");
}

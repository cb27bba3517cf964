namespace NanoVms.Images;

/// <summary>The archive a guest starts from: the agent as <c>/init</c> and the kernel's modules.</summary>
public static class GuestInitramfs
{
    /// <summary>Makes the archive of this agent and kernel in the folder, unless it is there, and returns its path.</summary>
    public static Task<string> PrepareAsync(
        string folder, GuestKernel kernel, string agentPath, IProgress<string>? progress, CancellationToken cancellationToken) =>
        throw new NotSupportedException();
}

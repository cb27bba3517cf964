using System.Runtime.InteropServices;

namespace BytePort.Server.Hosting;

/// <summary>libc's <c>kill</c>: .NET has no way to ask a process to end.</summary>
internal static partial class Signals
{
    private const int SigTerm = 15;

    public static void Terminate(int processId) => _ = Kill(processId, SigTerm);

    /// <returns>0, or -1 when the process is gone or not ours.</returns>
    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}

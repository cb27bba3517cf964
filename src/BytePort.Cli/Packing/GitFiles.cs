using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace BytePort.Cli.Packing;

/// <summary>Asks git which files of a folder count: tracked ones, and new ones that are not ignored.</summary>
internal static class GitFiles
{
    private const int MaxBytes = 64 * 1024 * 1024;

    /// <summary>The arguments, apart from running them so that a test can read them.</summary>
    /// <remarks>Hooks of the folder's own configuration are off: it may be somebody else's folder.</remarks>
    internal static IReadOnlyList<string> Arguments { get; } =
        ["-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "ls-files", "--cached", "--others", "--exclude-standard", "-z"];

    /// <returns>Paths relative to <paramref name="folder"/>, a folder with a slash at its end; null when git cannot say.</returns>
    public static async Task<IReadOnlyList<string>?> ListAsync(string folder, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("git", Arguments)
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = new UTF8Encoding(false),
        };
        start.Environment["GIT_OPTIONAL_LOCKS"] = "0";
        start.Environment["GIT_TERMINAL_PROMPT"] = "0";
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            return null;
        }

        using (process)
        {
            try
            {
                process.StandardInput.Close();
                var errors = process.StandardError.ReadToEndAsync(cancellationToken);
                var text = await ReadAsync(process.StandardOutput, cancellationToken);
                await errors;
                await process.WaitForExitAsync(cancellationToken);
                return process.ExitCode == 0 ? text.Split('\0', StringSplitOptions.RemoveEmptyEntries).Distinct().ToList() : null;
            }
            finally
            {
                if (!process.HasExited)
                    process.Kill(entireProcessTree: true);
            }
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var buffer = new char[32 * 1024];
        int read;
        while ((read = await reader.ReadAsync(buffer, cancellationToken)) > 0)
        {
            if (text.Length + read > MaxBytes)
                throw new IOException("git lists more than 64 MiB of file names. Deploy a smaller folder.");
            text.Append(buffer, 0, read);
        }

        return text.ToString();
    }
}

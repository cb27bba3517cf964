using NanoVms.Commands;

namespace NanoVms.Tests.Agent;

/// <summary>The real agent, published once: <c>BYTEPORT_AGENT</c>, or the tree's own, made anew when its sources are newer.</summary>
internal static class AgentBinary
{
    private static readonly Lazy<Task<string>> Published = new(FindAsync);

    public static Task<string> PathAsync => Published.Value;

    private static async Task<string> FindAsync()
    {
        if (Environment.GetEnvironmentVariable("BYTEPORT_AGENT") is { Length: > 0 } given)
            return given;
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "BytePort.slnx")))
            root = root.Parent ?? throw new InvalidOperationException("The tests run outside of their tree: set BYTEPORT_AGENT.");
        var binary = Path.Combine(root.FullName, "artifacts/publish/NanoVms.Agent/release_linux-x64/nanovms-agent");
        string[] folders = ["src/NanoVms.Agent", "src/NanoVms/Agent", "src/NanoVms/Machines"];
        var newest = folders
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root.FullName, folder), "*.cs*", SearchOption.AllDirectories))
            .Max(File.GetLastWriteTimeUtc);
        if (!File.Exists(binary) || File.GetLastWriteTimeUtc(binary) < newest)
        {
            await CommandRunner.RunCheckedAsync(
                new Command("dotnet", "publish", "src/NanoVms.Agent", "-c", "Release")
                {
                    WorkingDirectory = root.FullName,
                    Timeout = TimeSpan.FromMinutes(5),
                },
                CancellationToken.None);
            File.SetLastWriteTimeUtc(binary, DateTime.UtcNow);
        }

        return binary;
    }
}

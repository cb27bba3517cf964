using System.Runtime.CompilerServices;

namespace BytePort.Server.Tests;

internal static class Repository
{
    /// <summary>The repository's root, found from where this file was compiled.</summary>
    public static string Root { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", ".."));

    private static string ThisFile([CallerFilePath] string path = "") => path;
}

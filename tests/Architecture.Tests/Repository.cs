using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Architecture.Tests;

/// <summary>The repository as its files describe it.</summary>
internal static class Repository
{
    /// <summary>The root, found from where this file was compiled.</summary>
    public static string Root { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", ".."));

    public static IReadOnlyList<Project> Projects { get; } =
    [
        .. Directory.EnumerateFiles(Root, "*.csproj", SearchOption.AllDirectories)
            .Where(path => !Relative(path).Split('/').Any(part => part is "artifacts" or "node_modules" or ".git"))
            .Order(StringComparer.Ordinal)
            .Select(path => new Project(path, XDocument.Load(path))),
    ];

    /// <summary>The C# files of a folder that a person wrote.</summary>
    public static IEnumerable<string> SourceFiles(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.EndsWith(".Designer.cs", StringComparison.Ordinal) && !path.EndsWith("ModelSnapshot.cs", StringComparison.Ordinal));

    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    private static string ThisFile([CallerFilePath] string path = "") => path;
}

/// <summary>One project file.</summary>
internal sealed record Project(string FilePath, XDocument Document)
{
    public string Name => Path.GetFileNameWithoutExtension(FilePath);

    public string AssemblyName => Document.Descendants("AssemblyName").FirstOrDefault()?.Value ?? Name;

    public bool IsSource => Repository.Relative(FilePath).StartsWith("src/", StringComparison.Ordinal);

    public IEnumerable<string> References =>
        Document.Descendants("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));

    /// <summary>The newest assembly that was built from it.</summary>
    public string FindAssembly() =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, "artifacts", "bin", Name), $"{AssemblyName}.dll", SearchOption.AllDirectories)
            .OrderByDescending(File.GetLastWriteTimeUtc)
            .FirstOrDefault() ?? throw new FileNotFoundException($"No assembly of {Name} under artifacts/bin. Build the solution first.");
}

using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Architecture.Tests;

/// <summary>How the repository is laid out: folders are features, files are short, versions are central.</summary>
public sealed partial class LayoutTests
{
    private const int MaxLines = 400;

    private static readonly string[] CatchAllNames =
    [
        "Base", "Common", "Controllers", "Core", "Extensions", "Helper", "Helpers", "Interfaces", "Managers", "Misc", "Models", "Shared",
        "Util", "Utilities", "Utils",
    ];

    [Fact]
    public void Folders_OfSourceAndTests_AreFeatures()
    {
        var folders = Repository.SourceFiles("src").Concat(Repository.SourceFiles("tests"))
            .SelectMany(path => Repository.Relative(path).Split('/').SkipLast(1))
            .Distinct(StringComparer.Ordinal);
        Assert.Empty(folders.Intersect(CatchAllNames, StringComparer.OrdinalIgnoreCase));
    }

    [Fact]
    public void Files_OfSource_AreShort() =>
        Assert.Empty(Repository.SourceFiles("src")
            .Select(path => (Path: Repository.Relative(path), Lines: File.ReadLines(path).Count()))
            .Where(file => file.Lines > MaxLines && !file.Path.Contains("/Migrations/", StringComparison.Ordinal))
            .Select(file => $"{file.Path} has {file.Lines} lines; past {MaxLines} ask which second thing it does"));

    [Fact]
    public void PackageReferences_AllProjects_HaveCentralVersions()
    {
        var versions = Repository.Projects
            .SelectMany(project => project.Document.Descendants("PackageReference").Select(reference => (project.Name, reference)))
            .Where(pair => pair.reference.Attribute("Version") is not null || pair.reference.Attribute("VersionOverride") is not null)
            .Select(pair => $"{pair.Name}: {pair.reference}");
        Assert.Empty(versions);
    }

    [Fact]
    public void PackageVersions_Central_AreExactAndUnique()
    {
        var versions = XDocument.Load(Path.Combine(Repository.Root, "Directory.Packages.props")).Descendants("PackageVersion").ToList();
        Assert.All(versions, version => Assert.Matches(@"^\d+(\.\d+)+(-[0-9A-Za-z.-]+)?$", version.Attribute("Version")!.Value));
        Assert.Equal(versions.Count, versions.Select(version => version.Attribute("Include")!.Value).Distinct(StringComparer.OrdinalIgnoreCase).Count());
    }

    /// <summary>All but the tools, which a developer runs by hand and whose packages not every mirror has.</summary>
    [Fact]
    public void Solution_AllProjects_AreIn()
    {
        var inSolution = XDocument.Load(Path.Combine(Repository.Root, "BytePort.slnx")).Descendants("Project")
            .Select(project => project.Attribute("Path")!.Value).Order(StringComparer.Ordinal);
        var projects = Repository.Projects.Select(project => Repository.Relative(project.FilePath))
            .Where(path => !path.StartsWith("tools/", StringComparison.Ordinal));
        Assert.Equal(projects.Order(StringComparer.Ordinal), inSolution);
    }

    [Fact]
    public void LockFiles_OfSamples_HoldNoDownloadAddresses()
    {
        var locks = Directory.EnumerateFiles(Path.Combine(Repository.Root, "samples"), "package-lock.json", SearchOption.AllDirectories)
            .Where(path => !path.Contains("node_modules", StringComparison.Ordinal));
        foreach (var path in locks)
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path));
            var resolved = document.RootElement.GetProperty("packages").EnumerateObject().Where(package => package.Value.TryGetProperty("resolved", out _));
            Assert.True(!resolved.Any(), $"{Repository.Relative(path)} ties its packages to one registry; write it with omit-lockfile-registry-resolved.");
        }
    }

    [Fact]
    public void SourceFiles_All_ReadTimeFromTheTimeProvider() =>
        Assert.Empty(Repository.SourceFiles("src")
            .Where(path => !Repository.Relative(path).StartsWith("src/NanoVms.Agent/", StringComparison.Ordinal))
            .SelectMany(path => File.ReadLines(path).Select((line, index) => (path, line, number: index + 1)))
            .Where(line => ReadsTheClock().IsMatch(line.line))
            .Select(line => $"{Repository.Relative(line.path)}:{line.number}: {line.line.Trim()}"));

    [GeneratedRegex(@"\bDateTime(Offset)?\.(Utc)?Now\b")]
    private static partial Regex ReadsTheClock();
}

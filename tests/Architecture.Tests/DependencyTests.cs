using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Architecture.Tests;

/// <summary>Dependencies run down only, as docs/architecture.md says.</summary>
public sealed class DependencyTests
{
    /// <summary>What each project of src may use of ours. A new project is added here on purpose or not at all.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["BytePort.Builds"] = ["BytePort.Manifest", "NanoVms"],
        ["BytePort.Cli"] = ["BytePort.Manifest"],
        ["BytePort.Edge"] = [],
        ["BytePort.Manifest"] = [],
        ["BytePort.Server"] = ["BytePort.Edge", "BytePort.Builds", "BytePort.Manifest", "NanoVms"],
        ["NanoVms"] = [],
        ["NanoVms.Agent"] = [],
    };

    public static TheoryData<string> SourceProjects => [.. Repository.Projects.Where(project => project.IsSource).Select(project => project.Name)];

    [Theory]
    [MemberData(nameof(SourceProjects))]
    public void ProjectReferences_SourceProject_RunDown(string name)
    {
        Assert.True(Allowed.TryGetValue(name, out var allowed), $"{name} has no place in the architecture: say what it may use, here and in docs/architecture.md.");
        Assert.Empty(Find(name).References.Except(allowed));
    }

    [Theory]
    [MemberData(nameof(SourceProjects))]
    public void AssemblyReferences_SourceProject_RunDown(string name)
    {
        var ours = Repository.Projects.ToDictionary(project => project.AssemblyName, project => project.Name);
        var used = ReadReferences(Find(name).FindAssembly()).Where(ours.ContainsKey).Select(assembly => ours[assembly]);
        Assert.Empty(used.Except(Allowed[name]));
    }

    [Fact]
    public void ProjectReferences_Server_IsUsedByTestsAndToolsOnly() =>
        Assert.DoesNotContain(Repository.Projects, project => project.IsSource && project.References.Contains("BytePort.Server"));

    [Fact]
    public void ProjectReferences_TestProject_IsUsedByNobody() =>
        Assert.DoesNotContain(Repository.Projects.SelectMany(project => project.References), name => name.EndsWith(".Tests", StringComparison.Ordinal));

    private static Project Find(string name) => Repository.Projects.Single(project => project.Name == name);

    private static List<string> ReadReferences(string assembly)
    {
        using var reader = new PEReader(File.OpenRead(assembly));
        var metadata = reader.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }
}

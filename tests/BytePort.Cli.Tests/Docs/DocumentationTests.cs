using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using BytePort.Cli.Terminal;
using BytePort.Manifest;

namespace BytePort.Cli.Tests.Docs;

/// <summary>What the documents tell people to type exists, and what exists is documented.</summary>
public sealed partial class DocumentationTests : IDisposable
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", ".."));

    /// <summary>Commands of the script, with the options that it knows.</summary>
    private static readonly Dictionary<string, string[]> ScriptCommands = new()
    {
        ["up"] = ["--data", "--listen", "--grpc-listen", "--samples", "--detach", "--database"],
        ["down"] = ["--data"],
        ["test"] = [],
        ["bench"] = [],
    };

    private readonly Interrupts _interrupts = new();

    public static TheoryData<string> Documents =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(Root, "samples"), "README.md", SearchOption.AllDirectories))
            .Where(path => !path.Contains("node_modules", StringComparison.Ordinal))
            .Append(Path.Combine(Root, "README.md"))
            .Select(path => Path.GetRelativePath(Root, path)).Order(StringComparer.Ordinal),
    ];

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Commands_InDocument_Exist(string document)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(Root, document), TestContext.Current.CancellationToken);
        Assert.All(FindCommands(text), command =>
        {
            var arguments = command.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..];
            if (ScriptCommands.TryGetValue(arguments[0], out var options))
                Assert.Empty(arguments.Where(argument => argument.StartsWith('-')).Except(options));
            else
                Assert.Empty(CreateRoot().Parse(arguments).Errors.Select(error => $"{command}: {error.Message}"));
        });
    }

    [Fact]
    public async Task CliReference_EveryCommandAndOption_IsDocumented()
    {
        var reference = await File.ReadAllTextAsync(Path.Combine(Root, "docs", "reference", "cli.md"), TestContext.Current.CancellationToken);
        Assert.All(Leaves(CreateRoot(), ""), leaf =>
        {
            Assert.Contains($"`{leaf.Path} ", reference.Replace($"`{leaf.Path}`", $"`{leaf.Path} `", StringComparison.Ordinal), StringComparison.Ordinal);
            Assert.All(leaf.Command.Options.Where(option => option.Name.StartsWith("--", StringComparison.Ordinal) && !option.Hidden && option.Name != "--help"),
                option => Assert.Contains(option.Name, reference, StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task CliReference_EveryExitCode_IsDocumented()
    {
        var reference = await File.ReadAllTextAsync(Path.Combine(Root, "docs", "reference", "cli.md"), TestContext.Current.CancellationToken);
        Assert.All(Enum.GetValues<ExitCode>(), code => Assert.Contains($"\n| {(int)code} |", reference, StringComparison.Ordinal));
    }

    [Fact]
    public async Task ManifestReference_Examples_AreRight()
    {
        var reference = await File.ReadAllTextAsync(Path.Combine(Root, "docs", "reference", "manifest.md"), TestContext.Current.CancellationToken);
        var examples = YamlBlock().Matches(reference);
        Assert.NotEmpty(examples);
        Assert.All(examples, example => Assert.Empty(ManifestReader.Read(example.Groups[1].Value).Errors));
    }

    [Fact]
    public async Task ManifestReference_EveryKey_IsDocumented()
    {
        var reference = await File.ReadAllTextAsync(Path.Combine(Root, "docs", "reference", "manifest.md"), TestContext.Current.CancellationToken);
        var keys = SchemaKey().Matches(ManifestSchema.ToJson()).Select(match => match.Groups[1].Value).Distinct();
        Assert.All(keys, key => Assert.Contains($"`{key}`", reference, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Samples_Manifests_AreRight()
    {
        foreach (var folder in Directory.EnumerateDirectories(Path.Combine(Root, "samples")))
        {
            var result = await ManifestReader.ReadFolderAsync(folder, TestContext.Current.CancellationToken);
            Assert.Empty(result?.Errors ?? []);
        }
    }

    public void Dispose() => _interrupts.Dispose();

    private static IEnumerable<string> FindCommands(string text) => CommandUse().Matches(text)
        .Select(match => match.Value.Trim().TrimStart('`').Split('#')[0].Trim())
        .Where(command => !command.Contains('[', StringComparison.Ordinal) && !command.Contains('<', StringComparison.Ordinal));

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path) => command.Subcommands.Count == 0
        ? [(path, command)]
        : command.Subcommands.SelectMany(child => Leaves(child, path.Length == 0 ? child.Name : $"{path} {child.Name}"));

    private RootCommand CreateRoot() => CommandLine.Create(new CliHost
    {
        Out = TextWriter.Null,
        Error = TextWriter.Null,
        In = () => TextReader.Null,
        IsTerminal = false,
        Variable = _ => null,
        Folder = Root,
        Time = TimeProvider.System,
        Interrupts = _interrupts,
    });

    private static string ThisFile([CallerFilePath] string path = "") => path;

    // At the start of a line of a code block, or between backquotes.
    [GeneratedRegex(@"(?<=^|`)(\./)?byteport [a-z][^`\n|>&;]*", RegexOptions.Multiline)]
    private static partial Regex CommandUse();

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex YamlBlock();

    [GeneratedRegex("\"([a-z]+)\": \\{\n +\"description\"")]
    private static partial Regex SchemaKey();
}

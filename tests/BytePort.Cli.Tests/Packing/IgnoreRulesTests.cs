using System.Diagnostics;
using BytePort.Cli.Packing;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Cli.Tests.Packing;

/// <summary>git itself says what is right.</summary>
public sealed class IgnoreRulesTests : IDisposable
{
    private static readonly string[] Paths =
    [
        "a", "b.txt", "a.b", "dir/a", "dir/b.txt", "dir/sub/a", "dir/sub/deep/c.log", "build/out.js", "src/build/x.js", "src/a/build/y.js",
        "foo/bar/baz", "bar/baz", "[x]", "#file", "!file", "sp ace", "trail ", "doc/frotz/x", "a/doc/frotz/x", "logs/debug.log", "logs/mon/debug.log",
    ];

    private static readonly string[] Patterns =
    [
        "a", "*.txt", "/a", "dir/", "dir", "dir/*", "!dir/a", "**/build", "build/", "src/**/build", "foo/**", "**/baz", "*", "!*.log", "*.log",
        "\\#file", "\\!file", "# comment", "", "[x]", "\\[x]", "[a-c]", "[!a]", "[^a-c].txt", "sp ace", "trail\\ ", "a ", "doc/frotz", "doc/frotz/",
        "/*", "!/dir", "/dir/*", "!/dir/sub", "logs/**/debug.log", "logs/*/debug.log", "?", "??.txt", "dir/**/c.*", "**", "a**b", "*/", "[", "[a", "\\a", "**/sub/**",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("byteport-ignore-");

    public IgnoreRulesTests()
    {
        Git("", "init", "--quiet");
        foreach (var path in Paths.Where(path => !Paths.Any(other => other.StartsWith($"{path}/", StringComparison.Ordinal))))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder.FullName, path))!);
            File.WriteAllText(Path.Combine(_folder.FullName, path), "");
        }
    }

    [Fact]
    public void MatchesWithParents_AnyRules_AgreesWithGit() =>
        Prop.ForAll(Gen.Elements(Patterns).ListOf().Select(list => string.Join('\n', list)).ToArbitrary(), Agrees)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(150));

    [Fact]
    public void MatchesWithParents_EachPatternAlone_AgreesWithGit() => Assert.All(Patterns, pattern => Assert.True(Agrees(pattern), pattern));

    [Fact]
    public void Matches_ManyStars_IsQuick() =>
        Assert.False(Glob.Matches(string.Concat(Enumerable.Repeat("*a", 2000)) + "b", new string('a', 20_000)));

    public void Dispose() => _folder.Delete(recursive: true);

    private bool Agrees(string rules)
    {
        File.WriteAllText(Path.Combine(_folder.FullName, ".gitignore"), rules);
        var files = Directory.EnumerateFiles(_folder.FullName, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(_folder.FullName, path))
            .Where(path => !path.StartsWith(".git/", StringComparison.Ordinal)).ToList();
        var expected = Git(string.Join('\0', files), "check-ignore", "--no-index", "--stdin", "-z").Split('\0', StringSplitOptions.RemoveEmptyEntries);
        var ours = new IgnoreRules();
        ours.Add(rules, "");
        return files.Where(ours.MatchesWithParents).Order(StringComparer.Ordinal).SequenceEqual(expected.Order(StringComparer.Ordinal));
    }

    private string Git(string input, params string[] arguments)
    {
        using var git = Process.Start(new ProcessStartInfo("git", arguments)
        {
            WorkingDirectory = _folder.FullName,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        git.StandardInput.Write(input);
        git.StandardInput.Close();
        return git.StandardOutput.ReadToEnd();
    }
}

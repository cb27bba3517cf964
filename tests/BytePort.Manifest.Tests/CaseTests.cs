namespace BytePort.Manifest.Tests;

/// <summary>Each file of Cases is read, and what comes out is compared with the file of the same name and the ending .expected.</summary>
/// <remarks>With BYTEPORT_UPDATE_EXPECTED=1 the expected files are written instead; look at the difference before you keep it.</remarks>
public sealed class CaseTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "BytePort.Manifest.Tests", "Cases");

    public static TheoryData<string> Valid => List("Valid");

    public static TheoryData<string> Invalid => List("Invalid");

    public static TheoryData<string> Procfiles => List("Procfile");

    [Theory]
    [MemberData(nameof(Valid))]
    public async Task Read_ValidManifest_IsAsExpected(string name)
    {
        var (text, path) = await ReadCaseAsync("Valid", name);
        var result = ManifestReader.Read(text);

        Assert.Empty(result.Errors);
        var written = ManifestWriter.Write(result.Manifest!);
        await CompareAsync(path, written);
        Assert.Equal(written, ManifestWriter.Write(ManifestReader.Read(written).Manifest!));
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public async Task Read_InvalidManifest_ReportsEveryError(string name)
    {
        var (text, path) = await ReadCaseAsync("Invalid", name);
        var result = ManifestReader.Read(text);

        Assert.Null(result.Manifest);
        await CompareAsync(path, string.Concat(result.Errors.Select(error => $"{error}\n")));
    }

    [Theory]
    [MemberData(nameof(Procfiles))]
    public async Task ReadProcfile_Case_IsAsExpected(string name)
    {
        var (text, path) = await ReadCaseAsync("Procfile", name);
        var result = Procfile.Read(text);

        var entries = result.Entries.Select(entry => $"{entry.Line} {entry.Name} = {entry.Command}\n");
        await CompareAsync(path, string.Concat(entries.Concat(result.Errors.Select(error => $"{error}\n"))));
    }

    private static TheoryData<string> List(string kind) =>
        [.. Directory.EnumerateFiles(Path.Combine(Folder, kind)).Where(path => !path.EndsWith(".expected", StringComparison.Ordinal))
            .Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private static async Task<(string Text, string Path)> ReadCaseAsync(string kind, string name)
    {
        var path = Path.Combine(Folder, kind, name);
        return (await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), path);
    }

    private static async Task CompareAsync(string path, string actual)
    {
        var expected = $"{path}.expected";
        if (Environment.GetEnvironmentVariable("BYTEPORT_UPDATE_EXPECTED") == "1")
            await File.WriteAllTextAsync(expected, actual, TestContext.Current.CancellationToken);
        Assert.Equal(await File.ReadAllTextAsync(expected, TestContext.Current.CancellationToken), actual);
    }
}

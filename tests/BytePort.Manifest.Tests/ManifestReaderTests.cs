using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Manifest.Tests;

public sealed class ManifestReaderTests
{
    private static readonly string[] Pieces =
    [
        "services", ":", "\n", "  ", "api", "{", "}", "[", "]", "&a", "*a", "- ", "\"", "'", "|", "#", "---", "!!x", "name", "\t",
        "env", "routes", "/api", "0", "~", "? ", ",", "...", "%YAML 1.2", "\u0000", "\ud83d", "<<",
    ];

    [Fact]
    public void Read_AnyText_NeverThrows()
    {
        var texts = Gen.Elements(Pieces).ListOf().Select(string.Concat).ToArbitrary();
        Prop.ForAll(texts, text =>
        {
            var result = ManifestReader.Read(text);
            return result.Manifest is null == result.Errors.Count > 0
                && result.Errors.All(error => error is { Line: >= 1, Column: >= 1, Message.Length: > 0 });
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    [Fact]
    public void Read_TooLarge_SaysSo()
    {
        var result = ManifestReader.Read($"# {new string('x', ManifestReader.MaxBytes)}");

        Assert.Contains("larger than 256 KiB", Assert.Single(result.Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_ThousandErrors_KeepsTheFirstHundred()
    {
        var result = ManifestReader.Read(string.Concat(Enumerable.Range(0, 1000).Select(number => $"k{number}: 1\n")));

        Assert.Equal(100, result.Errors.Count);
        Assert.Equal(1, result.Errors[0].Line);
    }

    [Fact]
    public void Read_WholeManifest_FillsTheRecords()
    {
        var manifest = ManifestReader.Read("""
            services:
              api:
                kind: web
                size: tier-2
                scale: { idle: 1h30m }
                volumes: [ { name: data, path: /data, size: 512Mi } ]
            portfolio: { show: false }
            """).Manifest!;

        var api = Assert.Single(manifest.Services);
        Assert.Equal(ServiceKind.Web, api.Kind);
        Assert.Equal(MachineSize.Tier2, api.Size);
        Assert.Equal(TimeSpan.FromMinutes(90), api.Scale!.Idle);
        Assert.Equal(new VolumeManifest("data", "/data", 512L << 20), Assert.Single(api.Volumes));
        Assert.False(manifest.Portfolio!.Show);
        Assert.Equal(".", api.Path);
    }

    [Fact]
    public async Task ReadFolderAsync_NoManifest_IsNull()
    {
        var folder = Directory.CreateTempSubdirectory("byteport-manifest-");
        try
        {
            Assert.Null(await ManifestReader.ReadFolderAsync(folder.FullName, TestContext.Current.CancellationToken));
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "byteport.yml"), "name: x", TestContext.Current.CancellationToken);
            var result = await ManifestReader.ReadFolderAsync(folder.FullName, TestContext.Current.CancellationToken);
            Assert.Equal("x", result!.Manifest!.Name);
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "byteport.yml"), new string('#', 300_000), TestContext.Current.CancellationToken);
            result = await ManifestReader.ReadFolderAsync(folder.FullName, TestContext.Current.CancellationToken);
            Assert.StartsWith("byteport.yml:1:1: The manifest is larger", Assert.Single(result!.Errors).ToString(), StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

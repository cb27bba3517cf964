namespace BytePort.Manifest.Tests;

public sealed class ManifestSchemaTests
{
    [Fact]
    public async Task ToJson_CommittedSchema_IsTheSame()
    {
        var path = Path.Combine(Repository.Root, "docs", "reference", "byteport.schema.json");
        if (Environment.GetEnvironmentVariable("BYTEPORT_UPDATE_EXPECTED") == "1")
            await File.WriteAllTextAsync(path, ManifestSchema.ToJson(), TestContext.Current.CancellationToken);
        Assert.Equal(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), ManifestSchema.ToJson());
    }
}

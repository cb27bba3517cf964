using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Api;

public class OpenApiTests(TestPlatform platform)
{
    /// <summary>The committed description is what clients are generated from. To accept a change: BYTEPORT_UPDATE=1.</summary>
    [Fact]
    public async Task Document_OfTheCode_IsTheCommittedOne()
    {
        var path = Path.Combine(Root(), "docs", "reference", "openapi.json");
        var served = (await platform.Http.GetStringAsync("/openapi/v1.json")).ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("BYTEPORT_UPDATE") == "1")
        {
            await File.WriteAllTextAsync(path, served);
        }

        Assert.Equal(await File.ReadAllTextAsync(path), served);
        Assert.Contains("\"openapi\": \"3.1", served, StringComparison.Ordinal);
    }

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "BytePort.slnx")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return folder;
    }
}

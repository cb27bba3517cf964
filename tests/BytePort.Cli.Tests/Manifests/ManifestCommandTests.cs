namespace BytePort.Cli.Tests.Manifests;

public sealed class ManifestCommandTests
{
    [Fact]
    public async Task Check_Errors_ArePrintedWithPlacesAndExitOne()
    {
        using var cli = new Fakes.Cli();
        cli.Write("byteport.yaml", "nmae: x\n");

        var (code, output, _) = await cli.RunAsync("manifest", "check");

        Assert.Equal((1, "byteport.yaml:1:1: Unknown key \"nmae\". Did you mean \"name\"?\n"), (code, output));
        Assert.Contains("\"line\":1,\"column\":1,", (await cli.RunAsync("manifest", "check", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_Procfile_IsTheSameManifest()
    {
        using var cli = new Fakes.Cli();
        cli.Write("Procfile", "web: node server.js\nrelease: npm run migrate\n");

        var (code, output, _) = await cli.RunAsync("manifest", "show");

        Assert.Equal((0, "services:\n  web:\n    kind: web\n    release: npm run migrate\n    start: node server.js\n"), (code, output));
    }

    [Fact]
    public async Task Show_Json_UsesTheManifestsNames()
    {
        using var cli = new Fakes.Cli();
        cli.Write("byteport.yaml", "services: { api: { kind: web, port: 80 } }\n");

        var (code, output, _) = await cli.RunAsync("manifest", "show", "--json");

        Assert.Equal(0, code);
        Assert.Contains("\"name\":\"api\",\"kind\":\"web\",\"path\":\".\"", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_NoManifest_ExitsFour()
    {
        using var cli = new Fakes.Cli();

        Assert.Equal(4, (await cli.RunAsync("manifest", "show")).Code);
    }

    [Fact]
    public async Task Schema_Always_IsPrinted()
    {
        using var cli = new Fakes.Cli();

        Assert.Equal((0, BytePort.Manifest.ManifestSchema.ToJson()), (await cli.RunAsync("manifest", "schema")) is var (code, output, _) ? (code, output) : default);
    }
}

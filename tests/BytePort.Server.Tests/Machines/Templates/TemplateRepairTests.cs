using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Machines.Templates;
using BytePort.Server.Tests.Platform;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace BytePort.Server.Tests.Machines.Templates;

/// <summary>What a server that died in a push that replaces data left is put right by the next one.</summary>
public sealed class TemplateRepairTests(TestPlatform platform) : IDisposable
{
    private static readonly Guid Team = Guid.CreateVersion7();

    private readonly string _folder = Directory.CreateTempSubdirectory("byteport-templates-").FullName;

    private string Data => Path.Combine(_folder, "machine-data", Team.ToString("N"));

    [Theory]
    [InlineData(false, false, "old")]
    [InlineData(true, false, "old")]
    [InlineData(true, true, "new")]
    public void Repair_DeadWhileReplacingData_OldOrNewButWhole(bool isMoved, bool isRecorded, string expected)
    {
        var template = Path.Combine(_folder, "machine-templates", Team.ToString("N"), "web");
        Write(Path.Combine(template, "bbbbbbbbbbbb", "hac.toml"), "");
        Write(Path.Combine(template, "template.json"), $$"""{"name":"web","version":"{{(isRecorded ? "bbbbbbbbbbbb" : "aaaaaaaaaaaa")}}","digest":"","files":1,"size":1,"pushedAt":"2026-01-01T00:00:00Z"}""");
        Write(Path.Combine(template, "aaaaaaaaaaaa", "hac.toml"), "");
        Write(Path.Combine(Data, ".web.bbbbbbbbbbbb", "file"), "old");
        Write(Path.Combine(Data, "web-2", "file"), "another's");
        if (isMoved)
            Write(Path.Combine(Data, "web", "file"), "new");

        using (var store = new TemplateStore(
            platform.Services.GetRequiredService<IDbContextFactory<PlatformDb>>(), null!, new ServerOptions { DataFolder = _folder, AgentPath = "" }, TimeProvider.System))
            store.Repair();

        Assert.Equal(expected, File.ReadAllText(Path.Combine(Data, "web", "file")));
        Assert.Equal(["web", "web-2"], Directory.EnumerateDirectories(Data).Select(path => Path.GetFileName(path)!).Order());
        Assert.Equal(isRecorded ? "bbbbbbbbbbbb" : "aaaaaaaaaaaa", Path.GetFileName(Assert.Single(Directory.EnumerateDirectories(template))));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}

using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Machines;

/// <summary>What the tests' machines boot: the real kernel and agent, and a root of one static busybox.</summary>
internal static class TestBoot
{
    private static readonly string[] Links = ["sh", "sleep", "cat", "echo", "nslookup", "wget", "uname", "dd", "mount", "sync", "id", "nc"];
    private static readonly Lazy<Task<BootFiles>> LazyFiles = new(MakeFilesAsync);
    private static readonly Lazy<Task<string>> LazyLayer = new(MakeLayerAsync);

    public static Task<BootFiles> Files => LazyFiles.Value;

    public static Task<string> Layer => LazyLayer.Value;

    private static async Task<BootFiles> MakeFilesAsync()
    {
        var store = new ImageStore();
        return await store.GetBootAsync(await AgentBinary.PathAsync, null, CancellationToken.None);
    }

    private static async Task<string> MakeLayerAsync()
    {
        var layer = Path.Combine(ImageStore.DefaultFolder, "test-busybox.erofs");
        if (File.Exists(layer))
            return layer;
        var work = Directory.CreateTempSubdirectory("nanovms-busybox-").FullName;
        try
        {
            await RunAsync(work, "apt-get", "download", "-qq", "busybox-static");
            await RunAsync(work, "dpkg", "-x", Directory.GetFiles(work, "*.deb").Single(), "package");
            var bin = Directory.CreateDirectory(Path.Combine(work, "root/bin")).FullName;
            File.Copy(Path.Combine(work, "package/bin/busybox"), Path.Combine(bin, "busybox"));
            foreach (var link in Links)
                File.CreateSymbolicLink(Path.Combine(bin, link), "busybox");
            await RunAsync(work, "mkfs.erofs", "layer", "root");
            File.Move(Path.Combine(work, "layer"), layer, overwrite: true);
            return layer;
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static Task RunAsync(string folder, string program, params string[] arguments) =>
        CommandRunner.RunCheckedAsync(new Command(program, arguments) { WorkingDirectory = folder }, CancellationToken.None);
}

using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Stacks;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Lab;

/// <summary>
/// What the KVM lab runs: a Debian with QEMU, the modules of the guest's own kernel (KVM among them) and .NET, kept on this
/// computer; and these tests, the agent and a kernel for machines in the machine, packed anew each time.
/// </summary>
internal static class LabImage
{
    public const string Tests = "/opt/tests";
    public const string Agent = "/opt/agent/nanovms-agent";
    public const string DotNet = "/usr/share/dotnet";

    private const string Suite = "bookworm";
    private static readonly string[] Packages =
        ["qemu-system-x86", "kmod", "iproute2", "nftables", "dnsmasq-base", "e2fsprogs", "procps", "coreutils", "libstdc++6", "zlib1g", "util-linux"];

    // Part of the key: raised when the same packages would give another root.
    private const string Version = "2";

    /// <summary>The lab's root. Takes a minute where it is not there yet.</summary>
    public static async Task<string> RootAsync(GuestKernel kernel, CancellationToken cancellationToken)
    {
        var modules = $"linux-image-{kernel.Release}";
        var runtime = Environment.Version.ToString();
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(' ', [Version, Suite, modules, runtime, .. Packages]))))[..12];
        var layer = Path.Combine(ImageStore.DefaultFolder, $"test-lab-{key}.erofs");
        if (File.Exists(layer))
            return layer;
        var work = Directory.CreateTempSubdirectory("nanovms-lab-").FullName;
        try
        {
            var root = Path.Combine(work, "root");
            await CommandRunner.RunCheckedAsync(DebianRoot.Command(new DebianRecipe { Suite = Suite, Packages = [.. Packages] }, root), cancellationToken);

            // Only unpacked: a guest needs no boot loader and no initramfs of Debian's.
            await RunAsync(work, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", modules);
            var package = Path.Combine(work, "package");
            await RunAsync(work, "dpkg", "-x", Directory.GetFiles(work, "*.deb").Single(), package);
            Directory.Move(Path.Combine(package, "lib/modules"), Path.Combine(root, "usr/lib/modules"));
            await RunAsync(work, "depmod", "-b", root, kernel.Release);

            var dotnet = Directory.CreateDirectory(Path.Combine(root, DotNet[1..])).FullName;
            var shared = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../.."));
            await RunAsync(work, "cp", "--archive", "--dereference", Path.Combine(shared, "../dotnet"), Path.Combine(shared, "../host"), dotnet);
            foreach (var framework in (string[])["Microsoft.NETCore.App", "Microsoft.AspNetCore.App"])
            {
                var target = Directory.CreateDirectory(Path.Combine(dotnet, "shared", framework)).FullName;
                await RunAsync(work, "cp", "--archive", Path.Combine(shared, framework, runtime), target);
            }

            var aside = Path.Combine(work, "root.erofs");
            await LayerPacker.PackRootAsync(root, aside, LayerCompression.None, cancellationToken);
            await RunAsync(work, "cp", "--no-target-directory", aside, layer + ".new");
            File.Move(layer + ".new", layer, overwrite: true);
            return layer;
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>These tests, the agent, and the kernel for machines in the machine.</summary>
    /// <param name="folder">Where the layer is made.</param>
    public static async Task<string> TestsAsync(string folder, CancellationToken cancellationToken)
    {
        var root = Directory.CreateDirectory(Path.Combine(folder, "tests")).FullName;
        await RunAsync(folder, "mkdir", "-p", root + "/opt/agent", root + ImageStore.DefaultFolder);
        await RunAsync(folder, "cp", "--archive", "--no-target-directory", AppContext.BaseDirectory.TrimEnd('/'), root + Tests);
        await RunAsync(folder, "cp", await AgentBinary.PathAsync, root + Agent);
        await RunAsync(folder, "cp", "--archive", Path.Combine(ImageStore.DefaultFolder, "kernel"), root + ImageStore.DefaultFolder);
        var layer = Path.Combine(folder, "tests.erofs");
        await LayerPacker.PackAsync(root, layer, new LayerOptions { Prefix = "" }, cancellationToken);
        return layer;
    }

    private static Task RunAsync(string folder, string program, params string[] arguments) => CommandRunner.RunCheckedAsync(
        new Command(program, arguments) { WorkingDirectory = folder, Timeout = TimeSpan.FromMinutes(5) }, CancellationToken.None);
}

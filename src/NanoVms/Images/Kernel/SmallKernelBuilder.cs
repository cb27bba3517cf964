using System.Globalization;
using NanoVms.Commands;
using NanoVms.Images.Stacks;

namespace NanoVms.Images.Kernel;

/// <summary>Compiles the small guest kernel in a root of its own: nothing is installed on the computer.</summary>
/// <param name="recipe">What to build.</param>
/// <param name="work">An empty folder, with 3 GB of room.</param>
internal sealed class SmallKernelBuilder(SmallKernelRecipe recipe, string work, IProgress<string>? progress)
{
    private const int FilesBetweenReports = 200;
    private static readonly TimeSpan CompileTime = TimeSpan.FromHours(2);

    private readonly string _root = Path.Combine(work, "root");

    private string Tree => $"/usr/src/{recipe.Source}";

    /// <summary>Writes <c>vmlinux</c> and an empty <c>modules</c> into the folder and returns the kernel's release.</summary>
    /// <exception cref="ImageException">A patch does not apply, an option was dropped, or it does not compile.</exception>
    /// <remarks>1. a root with compiler and source, which apt verifies; 2. unpack and patch; 3. configure; 4. compile; 5. take the kernel.</remarks>
    public async Task<string> BuildAsync(string target, CancellationToken cancellationToken)
    {
        // 1.
        progress?.Report($"Fetching {recipe.Source} and a compiler");
        var debian = new DebianRecipe { Suite = recipe.Suite, Packages = [.. recipe.Packages, recipe.Source] };
        await CommandRunner.RunCheckedAsync(DebianRoot.Command(debian, _root), cancellationToken);

        // 2.
        progress?.Report("Unpacking the kernel's source");
        await RunAsync(TimeSpan.FromMinutes(10), "tar", "-xf", Tree + ".tar.xz", "-C", "/usr/src");
        foreach (var (name, text) in recipe.Patches)
        {
            var file = Path.Combine(_root, "usr/src", name);
            await File.WriteAllTextAsync(file, text, cancellationToken);
            await RunAsync(TimeSpan.FromMinutes(1), "patch", "-d", Tree, "-p1", "--fuzz=0", "-i", "/usr/src/" + name);
        }

        // 3.
        await File.WriteAllTextAsync(Path.Combine(_root, "usr/src/options"), recipe.Options, cancellationToken);
        await RunAsync(TimeSpan.FromMinutes(10), "make", "-s", "-C", Tree, "KCONFIG_ALLCONFIG=/usr/src/options", "allnoconfig");
        var dropped = recipe.Dropped(await File.ReadAllTextAsync(InRoot(".config"), cancellationToken));
        if (dropped.Count > 0)
            throw new ImageException($"The small kernel was not built: its source does not take {string.Join(", ", dropped)}. Correct kernel/config.");

        // 4.
        await CompileAsync(cancellationToken);

        // 5.
        var release = (await RunAsync(TimeSpan.FromMinutes(2), "make", "-s", "-C", Tree, "kernelrelease")).Trim();
        if (release.Length is 0 or > 60 || !release.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '+'))
            throw new ImageException($"The small kernel was not built: '{release}' is no kernel release.");
        await RunAsync(TimeSpan.FromMinutes(2), "strip", "-o", "/vmlinux", Tree + "/vmlinux");
        File.Move(Path.Combine(_root, "vmlinux"), Path.Combine(target, "vmlinux"));
        GuestKernelModules.WriteNone(Directory.CreateDirectory(Path.Combine(target, "modules")).FullName);
        return release;

        async Task<string> RunAsync(TimeSpan timeout, params string[] command) =>
            (await CommandRunner.RunCheckedAsync(DebianRoot.Chroot(_root, command) with { Timeout = timeout }, cancellationToken)).StandardOutput;
    }

    private async Task CompileAsync(CancellationToken cancellationToken)
    {
        var jobs = Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture);
        var command = DebianRoot.Chroot(_root, ["make", $"-j{jobs}", "-C", Tree, "vmlinux"]) with { Timeout = CompileTime };
        var errors = new Queue<string>();
        var files = 0;
        progress?.Report("Compiling the small kernel: some minutes");
        var exitCode = await CommandRunner.StreamAsync(command, Take, cancellationToken);
        if (exitCode != 0)
            throw new ImageException($"The small kernel does not compile: {string.Join('\n', errors)}");

        void Take(string stream, string line)
        {
            if (stream == "stderr")
            {
                errors.Enqueue(line);
                if (errors.Count > 10)
                    errors.Dequeue();
            }
            else if (line.StartsWith("  CC ", StringComparison.Ordinal) && ++files % FilesBetweenReports == 0)
            {
                progress?.Report(string.Create(CultureInfo.InvariantCulture, $"Compiling the small kernel: {files} files"));
            }
        }
    }

    private string InRoot(string file) => _root + Tree + "/" + file;
}

using NanoVms.Commands;
using NanoVms.Images.Kernel;

namespace NanoVms.Images;

/// <summary>
/// The kernel that machines boot: the small one where it was built, else Debian's cloud kernel, unpacked, with the few modules a guest
/// needs.
/// </summary>
/// <param name="VmlinuxPath">An uncompressed ELF <c>vmlinux</c> with a PVH entry.</param>
/// <param name="Release">As <c>uname -r</c> prints it.</param>
/// <param name="ModulesDirectory">Holds the modules and <c>order</c>, their load order.</param>
public sealed record GuestKernel(string VmlinuxPath, string Release, string ModulesDirectory)
{
    private const string MetaPackage = "linux-image-cloud-amd64";

    /// <summary>True for the one that was built for guests: it has no modules, and takes what it would measure from its command line.</summary>
    public bool IsSmall { get; init; }

    /// <summary>The small kernel if it was built, else as <see cref="PrepareDistributionAsync"/>.</summary>
    /// <param name="folder">The store's.</param>
    public static async Task<GuestKernel> PrepareAsync(string folder, IProgress<string>? progress, CancellationToken cancellationToken) =>
        SmallKernel.Find(Path.Combine(folder, "kernel")) ?? await PrepareDistributionAsync(folder, progress, cancellationToken);

    /// <summary>Fetches and unpacks Debian's kernel into the folder unless it is there. Safe to call from several processes at once.</summary>
    /// <exception cref="ImageException">It could not be fetched or is not as expected.</exception>
    public static async Task<GuestKernel> PrepareDistributionAsync(string folder, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        var home = Path.Combine(folder, "kernel");
        if (Find(home) is { } ready)
            return ready;
        Directory.CreateDirectory(home);
        using var taken = await FileLock.AcquireAsync(
            Path.Combine(home, ".lock"), () => progress?.Report("Another process fetches the guest kernel: waiting."), cancellationToken);
        if (Find(home) is { } made)
            return made;
        var work = Path.Combine(home, $".new-{Guid.NewGuid():N}");
        foreach (var leftover in Directory.EnumerateDirectories(home, ".new-*"))
            Directory.Delete(leftover, recursive: true);
        Directory.CreateDirectory(work);
        try
        {
            await MakeAsync(home, work, progress, cancellationToken);
        }
        catch (CommandException failure)
        {
            throw new ImageException($"The guest kernel could not be fetched: {failure.Message}", failure) { IsTransient = true };
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }

        return Find(home) ?? throw new ImageException($"The guest kernel in {home} vanished while it was made.");
    }

    /// <summary>The kernel command line that boots fastest.</summary>
    /// <param name="tscKilohertz">The host's time stamp counter, <see cref="TimeStampCounter.GetKilohertz"/>.</param>
    /// <param name="hardware">True under KVM, false under TCG.</param>
    /// <param name="quiet">True to have only what is wrong there.</param>
    /// <param name="console">True to have the kernel's messages on the first serial port.</param>
    /// <param name="small">True for the small kernel.</param>
    public static string CommandLine(long tscKilohertz, bool hardware, bool console = false, bool quiet = true, bool small = false)
    {
        List<string> options =
        [
            // A guest that cannot go on ends at once: the reset by triple fault works on every machine type, and QEMU runs with -no-reboot.
            "panic=-1",
            "reboot=t",

            // Only what is wrong.
            .. quiet ? (string[])["quiet"] : [],

            // The counter has no reference to be measured by: calibration hangs every second boot. For the same want of a
            // reference the watchdog would call the counter unstable on a busy host and take a clock that is far worse.
            $"tsc_early_khz={tscKilohertz}",
            "tsc=reliable",

            // The kernel would check its ciphers at each boot; what it checks is the same at each.
            "cryptomgr.notests",

            // Timers and interrupts of a virtual machine work as they should.
            "no_timer_check",

            // Nothing is behind these.
            "i8042.noaux",
            "i8042.nokbd",
        ];

        if (!hardware)
        {
            // An emulated processor has none of the leaks, and what works round them costs much there: each system call would switch
            // page tables, and each switch empties the emulator's.
            options.Add("mitigations=off");

            // With one processor the kernel would take the locks out of its code, one by one: a fifth of an emulated boot, as each
            // change of code throws away what was translated of it.
            options.Add("noreplace-smp");

            // The frequency of QEMU's local timer. To measure it takes 100 ms.
            if (small)
                options.Add("lapic_khz=1000000");
        }

        if (console)
            options.Add("console=ttyS0");
        return string.Join(' ', options);
    }

    private static GuestKernel? Find(string home)
    {
        // The name of a folder that was complete when it was given its name.
        var current = Path.Combine(home, "current");
        if (!File.Exists(current))
            return null;
        var folder = Path.Combine(home, Path.GetFileName(File.ReadAllText(current).Trim()));
        var kernel = new GuestKernel(
            Path.Combine(folder, "vmlinux"), Path.GetFileName(folder), Path.Combine(folder, "modules"));
        return File.Exists(kernel.VmlinuxPath) && GuestKernelModules.AreCurrent(kernel.ModulesDirectory) ? kernel : null;
    }

    /// <remarks>1. find the package; 2. fetch it, which apt verifies; 3. unpack it aside; 4. take kernel and modules; 5. give it its name.</remarks>
    private static async Task MakeAsync(string home, string work, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        // 1.
        var package = await FindPackageAsync(progress, cancellationToken);

        // 2. As root apt hands the download to an account that cannot write here, and complains; the check of the file is the same.
        progress?.Report($"Fetching the guest kernel {package}");
        await CommandRunner.RunCheckedAsync(
            new Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package)
            {
                WorkingDirectory = work,
                Timeout = TimeSpan.FromMinutes(10),
            },
            cancellationToken);
        var archive = Directory.EnumerateFiles(work, "*.deb").Single();

        // 3.
        progress?.Report("Unpacking the guest kernel");
        var tree = Path.Combine(work, "tree");
        await CommandRunner.RunCheckedAsync(new Command("dpkg", "-x", archive, tree), cancellationToken);
        var release = Path.GetFileName(Directory.EnumerateDirectories(Path.Combine(tree, "lib/modules")).Single());

        // 4.
        var folder = Path.Combine(work, release);
        var modules = Path.Combine(folder, "modules");
        Directory.CreateDirectory(modules);
        await GuestKernelImage.UnpackAsync(Path.Combine(tree, "boot", $"vmlinuz-{release}"), Path.Combine(folder, "vmlinux"), cancellationToken);
        await GuestKernelModules.PickAsync(Path.Combine(tree, "lib/modules", release), modules, cancellationToken);

        // 5. What has a name must survive a power cut whole.
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(handle);
        }

        var final = Path.Combine(home, release);
        if (Directory.Exists(final))
            Directory.Delete(final, recursive: true);
        Directory.Move(folder, final);
        await File.WriteAllTextAsync(Path.Combine(work, "current"), release, cancellationToken);
        File.Move(Path.Combine(work, "current"), Path.Combine(home, "current"), overwrite: true);
    }

    private static async Task<string> FindPackageAsync(IProgress<string>? progress, CancellationToken cancellationToken)
    {
        for (var tries = 0; ; tries++)
        {
            var listed = await CommandRunner.RunAsync(new Command("apt-cache", "depends", MetaPackage), cancellationToken);
            var package = listed.StandardOutput.Split('\n')
                .Select(line => line.Trim())
                .Where(line => line.StartsWith("Depends: linux-image-", StringComparison.Ordinal))
                .Select(line => line["Depends: ".Length..])
                .FirstOrDefault();
            if (package is not null)
                return package;
            if (tries > 0)
                throw new ImageException($"apt knows no package {MetaPackage}: machines boot Debian's cloud kernel, so a Debian archive must be among apt's sources.");
            progress?.Report("Updating the package lists");
            await CommandRunner.RunCheckedAsync(new Command("apt-get", "-q", "update") { Timeout = TimeSpan.FromMinutes(5) }, cancellationToken);
        }
    }
}

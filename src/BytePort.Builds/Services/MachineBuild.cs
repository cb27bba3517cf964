using BytePort.Builds.Detection;
using BytePort.Builds.Logs;
using BytePort.Manifest;
using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>One build in a machine of its own: from a source layer to a tar of what it left.</summary>
/// <remarks>
/// 1. Boot with the stack, the source over it at /app, and a raw output drive. 2. Install, build, prune, as the
/// unprivileged account. 3. Write the result as tar to the drive. 4. Stop. The host then reads the drive like any other
/// archive from outside: nothing that runs in the machine is trusted.
/// </remarks>
internal sealed class MachineBuild(
    MachineHost machines, StackImage stack, ServicePlan plan, BuildLimits limits, IReadOnlyDictionary<string, string> variables, BuildLog log, TimeProvider time)
{
    public const string MachineLabel = "byteport.build";

    private const string CertificateFile = "/etc/ssl/certs/ca-certificates.crt";
    private const string OutputDrive = "out";

    // Left behind by tools for their next run in the same folder, which there is none of.
    private static readonly string[] Excluded = ["./node_modules/.cache", "./.npm", "./.git", "./.cache/pip"];

    /// <param name="outputImage">A file that is made: the drive with the tar.</param>
    /// <exception cref="BuildException">A command failed or a limit was passed.</exception>
    public async Task RunAsync(string sourceLayer, string outputImage, CancellationToken cancellationToken)
    {
        // Sparse: takes what is written. A tar has a header and padding for every file.
        await using (var image = new FileStream(outputImage, FileMode.CreateNew, FileAccess.Write))
            image.SetLength(RoundUp(limits.MaxOutputBytes + (limits.MaxOutputFiles * 1536L) + (64L << 20)));

        // 1.
        var began = time.GetTimestamp();
        log.Write($"Starting a machine: {stack.Reference}, {limits.MemoryMiB} MiB memory, {limits.Cpus} processors, {limits.DiskBytes >> 30} GiB disk.");
        var machine = await StartAsync(sourceLayer, outputImage, cancellationToken);
        try
        {
            log.Write($"Machine ready after {time.GetElapsedTime(began).TotalSeconds:0.0} s.");

            // 2.
            foreach (var command in Commands())
                await RunCommandAsync(machine, command, cancellationToken);

            // 3.
            await WriteOutputAsync(machine, cancellationToken);
        }
        catch (MachineException e)
        {
            throw new BuildException(BuildErrors.MachineFailed, $"The build's machine failed: {e.Reason}", e);
        }
        finally
        {
            // 4. Also when canceled: then the machine goes at once, with all that runs in it.
            await machine.StopAsync(TimeSpan.Zero, CancellationToken.None);
        }
    }

    private IEnumerable<string> Commands()
    {
        string?[] wanted = [plan.InstallCommand, plan.BuildCommand, plan.PruneCommand];
        return wanted.OfType<string>().Where(command => command.Length > 0);
    }

    private async Task<Machine> StartAsync(string sourceLayer, string outputImage, CancellationToken cancellationToken)
    {
        var spec = new MachineSpec
        {
            Name = $"build-{plan.Name}",
            Cpus = limits.Cpus,
            CpuLimit = limits.CpuLimit,
            MemoryMiB = limits.MemoryMiB,
            DiskBytes = limits.DiskBytes,
            Layers = [.. stack.Layers, sourceLayer],
            Drives = [new DriveSpec(OutputDrive, outputImage, ReadOnly: false)],
            Network = NetworkMode.Nat,
            CaBundle = File.Exists(CertificateFile) ? await File.ReadAllTextAsync(CertificateFile, cancellationToken) : null,
            Owner = "builds",
            Labels = new Dictionary<string, string> { [MachineLabel] = plan.Name },
        };
        try
        {
            return await machines.StartAsync(spec, null, cancellationToken);
        }
        catch (MachineException e)
        {
            throw new BuildException(BuildErrors.MachineFailed, $"The build's machine did not start: {e.Message}", e);
        }
    }

    private async Task RunCommandAsync(Machine machine, string command, CancellationToken cancellationToken)
    {
        log.Write($"$ {command}");
        var began = time.GetTimestamp();
        var output = new CommandOutput(log);
        var exit = await machine.RunAsync(AppProcess.Create(BuildStack(), command, BuildEnvironment()), output.Append, cancellationToken);
        output.Complete();
        if (exit.ExitCode != 0)
            throw await FailureReasons.ExplainAsync(machine, limits, command, exit, output, cancellationToken);
        log.Write($"Done in {time.GetElapsedTime(began).TotalSeconds:0.0} s.");
    }

    private async Task WriteOutputAsync(Machine machine, CancellationToken cancellationToken)
    {
        var folder = plan.Kind == ServiceKind.Static && plan.Output is { Length: > 0 } output ? $"{AppProcess.Folder}/{output}" : AppProcess.Folder;
        var found = new List<string>();
        var probe = new CommandOutput(new BuildLog(line => found.Add(line.Text)));
        var there = await machine.RunAsync(
            Root("/bin/sh", "-c", "test -d \"$1\" || { cd /app && ls -d */ 2>/dev/null | head -20; exit 1; }", "sh", folder), probe.Append, cancellationToken);
        probe.Complete();
        if (there.ExitCode != 0)
            throw new BuildException(
                BuildErrors.OutputMissing,
                $"The build left no folder '{plan.Output}'. {(found.Count > 0 ? $"There are {string.Join(", ", found.Select(name => name.TrimEnd('/')))}" : "There are no folders at all")}: set output in byteport.yaml to the one with the built files.");

        var failed = new CommandOutput(BuildLog.None);
        // The drive's own cache must reach the image before the machine goes.
        var written = await machine.RunAsync(
            Root(["/bin/sh", "-c", "tar \"$@\" && sync", "sh", "--create", $"--file=/dev/nanovms/{OutputDrive}", "--format=gnu", "--numeric-owner", "--record-size=1048576", .. Excluded.Select(path => $"--exclude={path}"), $"--directory={folder}", "."]),
            failed.Append,
            cancellationToken);
        failed.Complete();
        if (written.ExitCode == 0)
            return;
        var tail = string.Join('\n', failed.LastLines.TakeLast(5));
        throw tail.Contains("No space left", StringComparison.Ordinal)
            ? TooLarge(limits)
            : new BuildException(BuildErrors.MachineFailed, $"The build's result could not be read: {written.Reason} {tail}");
    }

    public static BuildException TooLarge(BuildLimits limits, Exception? inner = null) =>
        new(
            BuildErrors.OutputTooLarge,
            $"The built files are larger than {limits.MaxOutputBytes >> 20:N0} MiB or more than {limits.MaxOutputFiles:N0}. Remove what is not needed to run, for example by a smaller set of dependencies.",
            inner);

    private StackImage BuildStack()
    {
        // NODE_ENV=production is for running: with it, npm would leave out what the build needs.
        var environment = new Dictionary<string, string>(stack.Environment);
        environment.Remove("NODE_ENV");
        return stack with { Environment = environment };
    }

    private Dictionary<string, string> BuildEnvironment()
    {
        var environment = new Dictionary<string, string>
        {
            ["BYTEPORT"] = "1",
            ["NODE_EXTRA_CA_CERTS"] = CertificateFile,
            ["SSL_CERT_FILE"] = CertificateFile,
            ["PIP_CERT"] = CertificateFile,
            ["NPM_CONFIG_PROGRESS"] = "false",
        };
        if (Environment.GetEnvironmentVariable("NPM_CONFIG_REGISTRY") is { Length: > 0 } registry)
            environment["NPM_CONFIG_REGISTRY"] = registry;
        foreach (var (name, value) in plan.Environment.Concat(variables))
            environment[name] = value;
        return environment;
    }

    private static ProcessSpec Root(params string[] command) => new()
    {
        Command = command,
        Environment = new Dictionary<string, string> { ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin", ["LANG"] = "C.UTF-8" },
    };

    private static long RoundUp(long bytes) => (bytes + 0xFFFFF) & ~0xFFFFFL;
}

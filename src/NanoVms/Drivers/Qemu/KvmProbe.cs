using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using NanoVms.Commands;
using NanoVms.Machines;

namespace NanoVms.Drivers.Qemu;

/// <summary>What a probe of /dev/kvm found.</summary>
/// <param name="Group">The group that a hypervisor needs to open the device, or null.</param>
internal sealed record KvmAnswer(bool IsUsable, uint? Group, string Reason);

/// <summary>A probe's answer and what it holds for: this boot of the computer and this QEMU.</summary>
internal sealed record KvmRecord(string Key, KvmAnswer Answer);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(KvmRecord))]
internal sealed partial class KvmJson : JsonSerializerContext;

/// <summary>Finds out whether KVM runs guests at the hardware's speed, by running one.</summary>
internal static class KvmProbe
{
    private const string Device = "/dev/kvm";
    private const uint ProbeUserId = 1_899_999_999;

    /// <summary>A guest of 20 ms and QEMU's start, with room for a busy computer.</summary>
    public static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(1.5);

    /// <summary>The answer of this boot of the computer: kept in the folder, so that only the first one costs time.</summary>
    public static async Task<KvmAnswer> AskAsync(HostMode mode, string cacheFolder, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var program = new FileInfo(ProgramLocator.Require(QemuArguments.Program));
        var boot = (await File.ReadAllTextAsync("/proc/sys/kernel/random/boot_id", cancellationToken)).Trim();
        var device = await StatAsync(mode, cancellationToken);
        var key = string.Create(CultureInfo.InvariantCulture, $"{boot} {program.Length} {program.LastWriteTimeUtc.Ticks} {device}");
        var path = Path.Combine(cacheFolder, "kvm-probe.json");
        if (SafeFile.ReadJson(path, KvmJson.Default.KvmRecord) is { } known && known.Key == key)
            return known.Answer;

        var answer = await ProbeAsync(mode, device, cacheFolder, limit, time, cancellationToken);
        SafeFile.WriteJson(path, new KvmRecord(key, answer), KvmJson.Default.KvmRecord);
        return answer;
    }

    /// <summary>QEMU's command line for the probe's guest. Under TCG the same guest is the proof that the probe itself works.</summary>
    public static Command Build(string kernelPath, string accelerator) => new(
        QemuArguments.Program,
        "-M", "microvm,pcie=off,x-option-roms=off", "-accel", accelerator, "-cpu", accelerator == "kvm" ? "host" : "max", "-m", "32",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernelPath,
        "-device", string.Create(CultureInfo.InvariantCulture, $"isa-debug-exit,iobase={ProbeGuest.ExitPort},iosize=4"));

    /// <summary>Runs the guest; null when it came to its end in time, else what happened instead.</summary>
    /// <param name="userId">Null for that of this process.</param>
    public static async Task<string?> RunAsync(
        string accelerator, uint? userId, uint? group, string folder, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, $"probe-{Guid.NewGuid():N}.elf");
        await File.WriteAllBytesAsync(path, ProbeGuest.Build(), cancellationToken);
        try
        {
            using var kernel = File.OpenHandle(path);
            SafeHandle[] files = [kernel];
            var command = Build($"/proc/self/fd/{DetachedProcess.NumbersFor(files)[0].ToString(CultureInfo.InvariantCulture)}", accelerator);
            return await RunAsync(userId is { } user ? Unprivileged.Wrap(command, user, group: group) : command, files, limit, time, cancellationToken);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task<string?> RunAsync(Command command, SafeHandle[] files, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        using var errors = new ErrorTail();
        var process = DetachedProcess.Start(command, files, errors.ProgramsEnd);
        errors.CloseProgramsEnd();
        try
        {
            using var timeUp = new CancellationTokenSource(limit, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeUp.Token, cancellationToken);
            var status = await process.WaitAsync(time, either.Token);
            if (status >> 8 == ProbeGuest.ExitCode)
                return null;
            var message = await errors.ReadToEndAsync(TimeSpan.FromSeconds(1), time);
            return $"QEMU {ProcessIdentity.Describe(status ?? 0)}: {message}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"a guest of 20 ms did not end in {limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s";
        }
        finally
        {
            await process.KillAsync(time, CancellationToken.None);
        }
    }

    private static async Task<KvmAnswer> ProbeAsync(HostMode mode, string device, string cacheFolder, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        if (device.Length == 0)
            return new KvmAnswer(false, null, $"There is no {Device}: the processor's virtualization is off (see the firmware's settings) or this is a virtual machine without nesting.");

        if (mode == HostMode.User)
            return await ProbeAsUserAsync(cacheFolder, limit, time, cancellationToken);

        // "GROUP MODE", the mode in octal.
        var parts = device.Split(' ');
        var group = uint.Parse(parts[0], CultureInfo.InvariantCulture);
        var permissions = Convert.ToInt32(parts[1], 8);
        var (accessible, needed) = (permissions & 6) == 6 ? (true, (uint?)null) : ((permissions & 0x30) == 0x30 && group != 0, group);
        var failure = await RunAsync("kvm", accessible ? ProbeUserId : 0, accessible ? needed : null, cacheFolder, limit, time, cancellationToken);
        return (failure, accessible) switch
        {
            (not null, _) => new KvmAnswer(false, null, $"{Device} is there, but it does not run guests at the hardware's speed: {failure}."),
            (null, false) => new KvmAnswer(
                false, null, $"KVM works, but only root may open {Device}, and hypervisors do not run as root. Allow it with: groupadd -f kvm && chgrp kvm {Device} && chmod 660 {Device}"),
            _ => new KvmAnswer(true, needed, "KVM ran a guest at the hardware's speed."),
        };
    }

    /// <summary>As an ordinary user it works with what this user may open.</summary>
    private static async Task<KvmAnswer> ProbeAsUserAsync(string cacheFolder, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!CanOpen())
            return new KvmAnswer(false, null, $"This user may not open {Device}. Allow it as root, and sign in anew: usermod -aG $(stat -c %G {Device}) USER");
        return await RunAsync("kvm", null, null, cacheFolder, limit, time, cancellationToken) is { } failure
            ? new KvmAnswer(false, null, $"{Device} is there, but it does not run guests at the hardware's speed: {failure}.")
            : new KvmAnswer(true, null, "KVM ran a guest at the hardware's speed.");
    }

    private static bool CanOpen()
    {
        try
        {
            using var device = File.OpenHandle(Device, FileMode.Open, FileAccess.ReadWrite);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static async Task<string> StatAsync(HostMode mode, CancellationToken cancellationToken)
    {
        var result = await CommandRunner.RunAsync(new Command("stat", "--format=%g %a", Device), cancellationToken);
        if (!result.Succeeded)
            return "";
        return mode == HostMode.Root ? result.StandardOutput.Trim() : $"{result.StandardOutput.Trim()} {(CanOpen() ? "open" : "closed")}";
    }
}

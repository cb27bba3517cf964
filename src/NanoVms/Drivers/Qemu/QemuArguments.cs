using System.Globalization;
using NanoVms.Machines;

namespace NanoVms.Drivers.Qemu;

/// <summary>Writes QEMU's argument list. Pure.</summary>
internal static class QemuArguments
{
    public const string Program = "qemu-system-x86_64";

    /// <summary>Monitor name of the ring that holds the guest's console.</summary>
    public const string ConsoleDevice = "console";

    /// <summary>Name of the agent's port in the guest.</summary>
    public const string AgentPort = "nanovms.agent";

    /// <summary>Bytes of console kept: a ring in QEMU's memory, so a guest that writes for ever fills nothing.</summary>
    public const int ConsoleBytes = 64 * 1024;

    /// <summary>The most disks: a microvm has 24 places for virtio devices, four are taken by channel, network, randomness and balloon.</summary>
    public const int MaxDisks = 20;

    private const string ThrottleGroup = "io";

    private const string Microvm = "microvm,rtc=on,pcie=off,x-option-roms=off,dump-guest-core=off";

    // Without the parts of a PC that no guest of ours looks for.
    private const string Pc = "q35,usb=off,smbus=off,sata=off,vmport=off,dump-guest-core=off";

    /// <summary>What <c>ps</c> shows.</summary>
    public static string ProcessName(string machineId) => $"nanovms-{machineId}";

    /// <summary>The argument by which processes of a machine host are found among all others; the machine's id follows it.</summary>
    public static string GuestMark(string hostId) => $"guest={hostId}.";

    /// <summary>MiB of translated code kept under TCG: small machines stay small, large ones translate less often.</summary>
    public static int TranslationMiB(int memoryMiB) => Math.Clamp(memoryMiB / 4, 32, 256);

    public static IReadOnlyList<string> Build(QemuLaunch launch)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(launch.Disks.Count, MaxDisks, nameof(launch));
        List<string> arguments =
        [
            "-name", $"{GuestMark(launch.HostId)}{launch.MachineId},process={ProcessName(launch.MachineId)}",
            .. Machine(launch),
            "-m", Text(launch.MemoryMiB),
            "-smp", Text(launch.Cpus),
            "-nodefaults", "-no-user-config", "-display", "none",
            // A guest that resets, powers off or panics stays, halted, until its console has been read.
            "-action", "reboot=shutdown,shutdown=pause,panic=pause",
            .. Boot(launch),
            .. QemuDevices.Arguments,
            "-chardev", $"ringbuf,id={ConsoleDevice},size={Text(ConsoleBytes)}",
            "-serial", $"chardev:{ConsoleDevice}",
            "-chardev", $"socket,id=monitor,fd={Text(launch.MonitorFile)},server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
            "-chardev", $"socket,id=agent,fd={Text(launch.AgentFile)},server=on,wait=off",
            "-device", $"{Device(launch, "serial")},max_ports=2",
            "-device", $"virtserialport,chardev=agent,name={AgentPort}",
            "-object", "rng-builtin,id=random",
            "-device", $"{Device(launch, "rng")},rng=random",
            // Gives memory that the guest has freed back to the computer.
            "-device", $"{Device(launch, "balloon")},free-page-reporting=on,deflate-on-oom=on",
        ];
        if (launch.Io is { } io)
            arguments.AddRange(["-object", Throttle(io)]);
        for (var i = 0; i < launch.Disks.Count; i++)
            arguments.AddRange(Disk(launch, launch.Disks[i], i));
        for (var i = 0; i < launch.Cards.Count; i++)
        {
            var id = i == 0 ? "net" : $"net{Text(i)}";
            arguments.AddRange(
            [
                "-netdev", $"tap,id={id},{launch.Cards[i].Tap}",
                "-device", $"{Device(launch, "net")},netdev={id},mac={launch.Cards[i].Mac},host_mtu={Text(launch.Mtu)}{(launch.IsPc ? ",romfile=" : "")}",
            ]);
        }

        foreach (var address in launch.PciDevices)
            arguments.AddRange(["-device", $"vfio-pci,host={address}"]);

        // No new programs, no other rights, no other resources: the last word, so that nothing above needs them.
        arguments.AddRange(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
        return arguments;
    }

    /// <summary>
    /// Under TCG: without the old timer and interrupt controller, of which every access is emulated, a boot takes a tenth less; EPYC-v1 is
    /// the model with AVX2 whose code runs fastest, <c>max</c> costs a fifth more; and memory in small pages, not huge ones, is what
    /// the guest really touched and can be given back.
    /// </summary>
    private static IEnumerable<string> Machine(QemuLaunch launch) =>
    [
        // Opened again by its number, which a file in memory allows to everybody who has it. What a restored guest writes is its own alone.
        "-object", $"memory-backend-file,id=memory,size={Text(launch.MemoryMiB)}M,share={(launch.IsRestored ? "off" : "on")},mem-path=/proc/self/fd/{Text(launch.MemoryFile)}",
        .. Accelerator(launch),
    ];

    private static IEnumerable<string> Accelerator(QemuLaunch launch) => launch.Accelerated
        ? ["-M", $"{(launch.IsPc ? Pc : Microvm)},memory-backend=memory", "-accel", "kvm", "-cpu", launch.IsNested ? "host" : "host,vmx=off,svm=off"]
        :
        [
            "-M", launch.IsPc ? $"{Pc},memory-backend=memory" : $"{Microvm},pit=off,pic=off,memory-backend=memory",
            "-accel", $"tcg,thread={(launch.Cpus > 1 ? "multi" : "single")},tb-size={Text(TranslationMiB(launch.MemoryMiB))}",
            "-cpu", launch.IsNested ? "EPYC-v1,svm=on,npt=on" : "EPYC-v1,svm=off",
        ];

    /// <summary>A restored machine has its kernel in its memory, and stays halted until the devices' state has been read.</summary>
    private static IEnumerable<string> Boot(QemuLaunch launch) => launch.IsRestored
        ? ["-S", "-incoming", "defer"]
        : ["-kernel", launch.KernelPath, "-initrd", launch.InitramfsPath, "-append", launch.CommandLine];

    private static IEnumerable<string> Disk(QemuLaunch launch, QemuDisk disk, int index)
    {
        var set = Text(index + 1);
        var id = $"disk{Text(index)}";
        var access = disk.ReadOnly ? "readonly" : "writable";
        yield return "-add-fd";
        yield return $"fd={Text(disk.File)},set={set},opaque={access}";
        yield return "-blockdev";
        yield return disk switch
        {
            // Read through the computer's page cache, which all machines with the same layer share. Nobody writes, so no locks.
            { ReadOnly: true } => $"driver=raw,node-name={id},read-only=on,file.driver=file,file.filename=/dev/fdset/{set},file.locking=off",
            // What the guest discards or zeroes takes no room.
            { IsEphemeral: true } =>
                $"driver=raw,node-name={id},cache.no-flush=on,discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=/dev/fdset/{set}",
            _ => $"driver=raw,node-name={id},discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=/dev/fdset/{set}",
        };
        // A control group does not count what the computer's cache takes and gives, as for these disks it mostly does.
        var isThrottled = launch.Io is not null && !disk.ReadOnly;
        if (isThrottled)
        {
            yield return "-blockdev";
            yield return $"driver=throttle,node-name={id}-io,throttle-group={ThrottleGroup},file={id},discard=unmap";
        }

        yield return "-device";
        yield return $"{Device(launch, "blk")},drive={id}{(isThrottled ? "-io" : "")},serial={disk.Serial}";
    }

    private static string Throttle(IoLimits io)
    {
        var limits = new (string Name, long? Value)[] { ("bps-read", io.ReadBytes), ("bps-write", io.WriteBytes), ("iops-read", io.ReadOperations), ("iops-write", io.WriteOperations) }
            .Where(limit => limit.Value is not null)
            .Select(limit => string.Create(CultureInfo.InvariantCulture, $"\"{limit.Name}\":{limit.Value}"));
        return $"{{\"qom-type\":\"throttle-group\",\"id\":\"{ThrottleGroup}\",\"limits\":{{{string.Join(',', limits)}}}}}";
    }

    /// <summary>A PC has its devices on its PCI bus, in the form that needs no ports; a microvm in memory.</summary>
    private static string Device(QemuLaunch launch, string kind) => $"virtio-{kind}-{(launch.IsPc ? "pci-non-transitional" : "device")}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

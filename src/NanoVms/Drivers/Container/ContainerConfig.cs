using System.Text.Json.Nodes;
using NanoVms.Machines;

namespace NanoVms.Drivers.Container;

/// <summary>Writes a container's <c>config.json</c> by the OCI runtime specification 1.0. Pure.</summary>
internal static class ContainerConfig
{
    public const string FileName = "config.json";

    /// <summary>Where the container sees the agent: under a name that no drive has.</summary>
    private const string AgentPath = "/dev/.nanovms-agent";

    /// <summary>
    /// What root in the container may do beyond other users: own and read every file of its image, become and signal its users, listen
    /// on low ports. All of it counts within its user namespace alone.
    /// </summary>
    private static readonly string[] Capabilities =
        ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"];

    private static readonly string[] Masked =
    [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/modules",
        "/proc/sched_debug", "/proc/scsi", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
        "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/kernel",
    ];

    private static readonly string[] ReadOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys/fs/cgroup"];

    /// <param name="name">The container's, which its agent has as an argument, so that orphans are found by it.</param>
    /// <param name="drives">Device numbers of the machine's drives, in their order.</param>
    public static JsonObject Build(MachineSpec spec, string name, string cgroup, Namespaces namespaces, IReadOnlyList<int> drives, int openFiles) => new()
    {
        ["ociVersion"] = "1.0.0",
        ["hostname"] = spec.Name,
        ["root"] = new JsonObject { ["path"] = ContainerMounts.Root },
        ["process"] = new JsonObject
        {
            ["terminal"] = false,
            ["cwd"] = "/",
            ["user"] = new JsonObject { ["uid"] = 0, ["gid"] = 0 },
            ["args"] = new JsonArray(AgentPath, "--container", name),
            ["env"] = new JsonArray("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ["rlimits"] = new JsonArray(Limit("RLIMIT_NOFILE", openFiles), Limit("RLIMIT_CORE", 0)),
            ["noNewPrivileges"] = true,
            ["capabilities"] = new JsonObject
            {
                ["bounding"] = Texts(Capabilities),
                ["effective"] = Texts(Capabilities),
                ["permitted"] = Texts(Capabilities),
            },
        },
        ["mounts"] = Mounts(spec),
        ["linux"] = new JsonObject
        {
            ["namespaces"] = new JsonArray(
                Namespace("user", namespaces.UserPath), Namespace("network", namespaces.NetworkPath),
                Namespace("pid"), Namespace("ipc"), Namespace("uts"), Namespace("mount"), Namespace("cgroup")),
            ["cgroupsPath"] = cgroup,
            ["resources"] = new JsonObject { ["devices"] = Devices(spec, drives) },
            ["rootfsPropagation"] = "private",
            ["maskedPaths"] = Texts(Masked),
            ["readonlyPaths"] = Texts(ReadOnly),
            ["seccomp"] = SystemCalls.Profile(),
        },
    };

    private static JsonArray Mounts(MachineSpec spec)
    {
        // As a guest with a kernel of its own has it: half of the memory.
        var shared = $"size={spec.MemoryMiB / 2}m";
        var mounts = new JsonArray
        {
            Mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            Mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=64k"),
            Mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            Mount("/dev/shm", "tmpfs", "tmpfs", "nosuid", "nodev", "mode=1777", shared),
            Mount("/run", "tmpfs", "tmpfs", "nosuid", "nodev", "mode=755", shared),
            Mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
            Mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
            Mount(AgentPath, "bind", ContainerMounts.Agent, "bind", "nosuid", "nodev", "ro"),
        };
        foreach (var drive in spec.Drives)
            mounts.Add((JsonNode)Mount($"/dev/nanovms/{drive.Name}", "bind", ContainerMounts.DriveOf(drive), "bind", "nosuid", "noexec"));
        return mounts;
    }

    private static JsonArray Devices(MachineSpec spec, IReadOnlyList<int> drives)
    {
        var devices = new JsonArray { new JsonObject { ["allow"] = false, ["access"] = "rwm" } };
        // What a runtime puts under /dev: null, zero, full, random, urandom, tty, terminals.
        foreach (var (major, minor) in ((int, int?)[])[(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, null)])
        {
            var device = new JsonObject { ["allow"] = true, ["type"] = "c", ["major"] = major, ["access"] = "rw" };
            if (minor is { } number)
                device["minor"] = number;
            devices.Add((JsonNode)device);
        }

        for (var i = 0; i < drives.Count; i++)
        {
            devices.Add((JsonNode)new JsonObject
            {
                ["allow"] = true,
                ["type"] = "b",
                ["major"] = LoopDevice.Major,
                ["minor"] = drives[i],
                ["access"] = spec.Drives[i].ReadOnly ? "r" : "rw",
            });
        }

        return devices;
    }

    private static JsonObject Mount(string place, string type, string source, params string[] options) =>
        new() { ["destination"] = place, ["type"] = type, ["source"] = source, ["options"] = Texts(options) };

    private static JsonObject Namespace(string type, string? path = null)
    {
        var space = new JsonObject { ["type"] = type };
        if (path is not null)
            space["path"] = path;
        return space;
    }

    private static JsonObject Limit(string type, int value) => new() { ["type"] = type, ["soft"] = value, ["hard"] = value };

    private static JsonArray Texts(IEnumerable<string> texts) => [.. texts.Select(text => (JsonNode)text)];
}

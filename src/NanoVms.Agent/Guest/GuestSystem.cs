using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Guest;

/// <summary>The guest that the agent is the first process of.</summary>
/// <param name="isContainer">
/// True where the kernel is the host's: mounts, network and name are the host's work then, and clock and randomness are not the guest's.
/// </param>
internal sealed class GuestSystem(bool isContainer = false)
{
    private const ulong MaxOpenFiles = 65536;
    private const string Card = "eth0";

    private readonly ProcessFreezer _processes = new();
    private readonly DiskFreezer _disks = new();
    private readonly long _started = Clock.Uptime;

    // What a thaw may change in part. Without what is large or secret.
    private GuestConfig? _config;
    private IReadOnlyList<GuestName> _names = [];
    private IReadOnlyList<GuestCard> _cards = [];
    private bool _forwards;

    /// <summary>What runs first when the guest is shut down.</summary>
    public IReadOnlyList<HookSpec> BeforeShutdown => _config?.BeforeShutdown ?? [];

    public bool IsContainer => isContainer;

    public bool IsFrozen { get; private set; }

    /// <summary>A descriptor inside the writable layer; -1 without a disk.</summary>
    public int DiskFolder { get; private set; } = -1;

    /// <summary>What must be there before the agent can do anything: the kernel's file systems and the modules of the host's channel.</summary>
    public static void MountKernelFileSystems()
    {
        _ = Libc.SetFileModeMask(0x12);
        Files.MakeDirectory("/proc");
        Files.MakeDirectory("/sys");
        Files.MakeDirectory("/dev");
        Files.Mount("proc", "/proc", "proc", Mounts.NoSuid | Mounts.NoExec | Mounts.NoDevices);
        Files.Mount("sysfs", "/sys", "sysfs", Mounts.NoSuid | Mounts.NoExec | Mounts.NoDevices);
        Files.Mount("devtmpfs", "/dev", "devtmpfs", Mounts.NoSuid, "mode=0755");
    }

    /// <summary>Becomes what the host described. Steps are done once and in order; a failure leaves a guest that only serves to be ended.</summary>
    /// <remarks>
    /// 1. clock and randomness, which everything after may use; 2. drivers and devices; 3. the root, made of layers and disk, takes
    /// the initramfs's place; 4. what every Linux program expects under /dev, /run and /tmp; 5. names; 6. the network; 7. the root is closed, if so wanted, after all that is written to it here.
    /// </remarks>
    public void Configure(GuestConfig config)
    {
        if (isContainer)
        {
            ConfigureContainer(config);
            return;
        }

        // 1.
        Synchronize(this, config.UtcNow, config.RandomSeed.Span);
        RaiseLimits();

        // 2.
        var needsDisks = config.LayerDevices.Count > 0 || config.DiskDevice is not null || config.Drives.Count > 0;
        if (needsDisks)
            Modules.Load("block");
        if (config.LayerDevices.Count > 0)
            Modules.Load("layers");
        if (config.Network is not null)
            Modules.Load("network");
        Modules.Load("host");
        // What is freed goes back to the host in pieces of 64 KiB and more; by itself the kernel keeps all below 2 MiB.
        Files.TryWrite("/sys/module/page_reporting/parameters/page_reporting_order", "4");
        var devices = new Devices();

        // 3.
        if (config.LayerDevices.Count > 0)
            DiskFolder = RootFileSystem.Enter(config, devices);

        // 4.
        Mounts.PrepareUserSpace();
        foreach (var (name, device) in config.Drives)
            devices.LinkDrive(name, device);

        // 5.
        Identity.Apply(config, _names);

        // 6.
        NetworkSetup.BringUp("lo");
        if (_cards.Count > 0)
            NetworkSetup.NameCards(_cards);
        if (config.Network is { } network)
            NetworkSetup.Configure(Card, network);
        if (_cards.Count > 0)
            SetUpCards(_cards, [], _forwards);

        // 7.
        if (config.ReadOnlyRoot)
        {
            Mounts.PutTemporaryFilesInMemory();
            Mounts.SetRootReadOnly(true);
        }

        _config = config with { CaBundle = null, RandomSeed = default };
    }

    private void ConfigureContainer(GuestConfig config)
    {
        RaiseLimits();
        DiskFolder = Files.TryOpen("/", Libc.O_RDONLY | Libc.O_DIRECTORY);
        Mounts.PrepareTemporary();
        Identity.Apply(config, _names, setsHostName: false);
        _config = config with { CaBundle = null, RandomSeed = default };
    }

    public void SetNames(IReadOnlyList<GuestName> names)
    {
        if (_config is not { } config)
            throw new AgentFailure("the guest has to be configured before it is told names");
        _names = names;
        if (config.ReadOnlyRoot)
            Mounts.SetRootReadOnly(false);
        try
        {
            Identity.WriteHosts(config, names);
        }
        finally
        {
            if (config.ReadOnlyRoot)
                Mounts.SetRootReadOnly(true);
        }
    }

    /// <summary>
    /// Before the guest is configured: what its cards are besides the first. After it was thawed: what they are now. In a container cards
    /// and forwarding are the host's work.
    /// </summary>
    public void SetCards(IReadOnlyList<GuestCard> cards, bool forwards)
    {
        if (isContainer)
            return;
        if (_config is null)
        {
            // Its cards are named by this when it is configured.
            (_cards, _forwards) = (cards, forwards);
            return;
        }

        SetUpCards(cards, _cards, forwards);
        _cards = cards;
    }

    private static void SetUpCards(IReadOnlyList<GuestCard> cards, IReadOnlyList<GuestCard> before, bool forwards)
    {
        // Before there is a way between them.
        if (!Files.TryWrite("/proc/sys/net/ipv4/ip_forward", forwards ? "1" : "0"))
            throw AgentFailure.Of("cannot decide whether to forward packets");
        for (var i = 0; i < cards.Count; i++)
            NetworkSetup.Change($"eth{i + 1}", cards[i].MacAddress, cards[i].Network, i < before.Count ? before[i].Network : null);
    }

    public MachineStats ReadStatistics() => isContainer ? ContainerGroup.Read(DiskFolder, _started) : Statistics.Read(DiskFolder);

    /// <summary>First the processes, so that the disks hold what they wrote last.</summary>
    public void Freeze()
    {
        if (isContainer)
            throw new AgentFailure("a container cannot be saved, so it is not frozen either");
        if (IsFrozen)
            return;
        IsFrozen = true;
        Identity.PrepareToRenew();
        _processes.Freeze();
        _disks.Freeze(DiskFolder);
    }

    /// <summary>Ends a freeze and changes nothing else.</summary>
    public void Unfreeze()
    {
        if (!IsFrozen)
            return;
        _disks.Thaw(DiskFolder);
        _processes.Thaw();
        IsFrozen = false;
    }

    /// <summary>Goes on, perhaps as another machine.</summary>
    /// <remarks>
    /// 1. the disks, without which the agent itself could not write; 2. clock and randomness; 3. names and numbers; 4. the network;
    /// 5. the processes, which see only the outcome.
    /// </remarks>
    public void Thaw(ThawConfig thaw)
    {
        if (isContainer)
            return;
        // 1.
        _disks.Thaw(DiskFolder);

        // 2.
        Synchronize(this, thaw.UtcNow, thaw.RandomSeed.Span);

        // 3.
        if (_config is { } before)
        {
            // Another machine is told the names that it may know anew.
            if (thaw.NewIdentity)
                _names = [];
            _config = before with
            {
                Hostname = thaw.Hostname ?? before.Hostname,
                Hosts = thaw.Hosts ?? before.Hosts,
                Network = thaw.Network ?? before.Network,
            };
            ChangeIdentity(thaw, before);

            // 4.
            NetworkSetup.Change(Card, thaw.MacAddress, thaw.Network, before.Network);
        }
        else if (thaw.Network is not null || thaw.Hostname is not null || thaw.Hosts is not null)
        {
            throw new AgentFailure("the guest was not configured before it was frozen: configure it with its own network instead");
        }

        // 5.
        _processes.Thaw();
        IsFrozen = false;
    }

    private void ChangeIdentity(ThawConfig thaw, GuestConfig before)
    {
        var changes = thaw.Hostname is not null || thaw.Hosts is not null || thaw.Network is not null;
        if (!changes && !thaw.NewIdentity)
            return;
        if (_config!.ReadOnlyRoot)
            Mounts.SetRootReadOnly(false);
        if (changes)
            Identity.Change(before, _config, _names);
        if (thaw.NewIdentity)
            Identity.Renew();
        if (_config.ReadOnlyRoot)
            Mounts.SetRootReadOnly(true);
    }

    /// <summary>Sets the clock and stirs the seed into the kernel's randomness. Does nothing on a computer that is not the agent's own.</summary>
    public static void Synchronize(GuestSystem? guest, DateTimeOffset now, ReadOnlySpan<byte> seed)
    {
        if (guest is null or { IsContainer: true })
            return;
        Clock.Set(now.UtcTicks - DateTimeOffset.UnixEpoch.Ticks);
        Entropy.Add(seed);
    }

    /// <summary>Programs inherit the agent's limits: as many open files as servers commonly need.</summary>
    public static unsafe void RaiseLimits()
    {
        const int OpenFiles = 7;
        var limit = stackalloc ulong[] { MaxOpenFiles, MaxOpenFiles };
        // SAFETY: struct rlimit is two 64-bit words.
        _ = Libc.SetLimit(OpenFiles, limit);
    }
}

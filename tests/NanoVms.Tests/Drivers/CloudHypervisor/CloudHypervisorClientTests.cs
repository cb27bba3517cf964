using NanoVms.Drivers.CloudHypervisor;
using NanoVms.Drivers.Rest;

namespace NanoVms.Tests.Drivers.CloudHypervisor;

/// <summary>The client against a fake that checks every request by Cloud Hypervisor's own document.</summary>
public sealed class CloudHypervisorClientTests : IAsyncLifetime
{
    private const string Socket = "api.sock";
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly VmConfig Config = new(new PayloadConfig("kernel", "panic=-1", "initramfs"))
    {
        Cpus = new CpusConfig(2, 2),
        Memory = new MemoryConfig(256L << 20),
        Disks = [new DiskConfig("layer0", "layer0") { Readonly = true }, new DiskConfig("disk", "disk")],
        Vsock = new VsockConfig(3, "vsock.sock"),
        Rng = new RngConfig("/dev/urandom"),
        Balloon = new BalloonConfig(0) { DeflateOnOom = true, FreePageReporting = true },
        Serial = new ConsoleConfig(ConsoleMode.Socket) { Socket = "console.sock" },
        Console = new ConsoleConfig(ConsoleMode.Off),
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-ch-").FullName;
    private readonly FakeCloudHypervisor _fake = new();
    private CloudHypervisorClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        await _fake.StartAsync(Path.Combine(_folder, Socket));
        _client = new CloudHypervisorClient(_folder, Socket, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _fake.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Machine_WholeLife_IsAsDocumented()
    {
        Assert.Equal("v48.0", (await _client.PingAsync(None)).Version);
        Assert.Null(await _client.FindInfoAsync(None));
        await _client.CreateAsync(Config, None);
        Assert.Equal(VmState.Created, (await _client.FindInfoAsync(None))?.State);
        await _client.BootAsync(None);
        Assert.Equal(VmState.Running, (await _client.FindInfoAsync(None))?.State);
        await _client.ResizeBalloonAsync(64L << 20, None);
        Assert.Equal(192L << 20, (await _client.FindInfoAsync(None))?.MemoryActualSize);
        Assert.Equal(3, (await _client.GetCountersAsync(None))["disk"]["read_ops"]);

        await _client.PauseAsync(None);
        Assert.Equal(VmState.Paused, (await _client.FindInfoAsync(None))?.State);
        await _client.SnapshotAsync($"file://{_folder}", None);
        await _client.ResumeAsync(None);
        await _client.ShutDownAsync(None);
        Assert.Equal(VmState.Shutdown, (await _client.FindInfoAsync(None))?.State);
        await _client.QuitAsync(None);

        Assert.True(_fake.Quit.Task.IsCompleted);
        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task Restore_FreshProcess_IsThatMachine_Paused()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "config.json"), """{"payload":{},"memory":{"size":1024}}""");
        await _client.RestoreAsync(new RestoreConfig($"file://{_folder}") { MemoryRestoreMode = MemoryRestoreMode.OnDemand }, [], None);
        Assert.Equal(VmState.Paused, (await _client.FindInfoAsync(None))?.State);
        await _client.ResumeAsync(None);
        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task Orders_InTheWrongState_AreRefusedWithEveryReason()
    {
        var pause = await Assert.ThrowsAsync<RestException>(() => _client.PauseAsync(None));
        Assert.Equal((404, "The operation failed: VM is not created"), (pause.Status, pause.Fault));
        await _client.CreateAsync(Config, None);
        var again = await Assert.ThrowsAsync<RestException>(() => _client.CreateAsync(Config, None));
        Assert.Equal((500, "The VM could not be created: VM is already created"), (again.Status, again.Fault));
        Assert.Equal(405, (await Assert.ThrowsAsync<RestException>(() => _client.ResumeAsync(None))).Status);
        Assert.Equal(405, (await Assert.ThrowsAsync<RestException>(() => _client.SnapshotAsync("file:///", None))).Status);
        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task Boot_Fails_CarriesTheCause()
    {
        _fake.Starting = _ => Task.FromResult<string?>("no kernel");
        await _client.CreateAsync(Config, None);
        var failure = await Assert.ThrowsAsync<RestException>(() => _client.BootAsync(None));
        Assert.EndsWith("The VM could not boot: no kernel", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_GuestAddressThatIsReserved_IsRefusedByTheDocument()
    {
        _ = await Assert.ThrowsAsync<RestException>(() => _client.CreateAsync(Config with { Vsock = new VsockConfig(2, "s") }, None));
        Assert.Contains("body.vsock.cid is 2", Assert.Single(_fake.Violations), StringComparison.Ordinal);
    }
}

using NanoVms.Drivers.Firecracker;
using NanoVms.Drivers.Rest;

namespace NanoVms.Tests.Drivers.Firecracker;

/// <summary>The client against a fake that checks every request by Firecracker's own document.</summary>
public sealed class FirecrackerClientTests : IAsyncLifetime
{
    private const string Socket = "api.sock";
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-fc-").FullName;
    private FakeFirecracker _fake = new();
    private FirecrackerClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        await _fake.StartAsync(Path.Combine(_folder, Socket));
        _client = new FirecrackerClient(_folder, Socket, TimeProvider.System);
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
        Assert.Equal("1.14.0", await _client.GetVersionAsync(None));
        Assert.Equal(InstanceState.NotStarted, (await _client.GetInstanceAsync(None)).State);
        Assert.Equal(new MachineConfiguration(1, 128), await _client.GetMachineAsync(None) with { TrackDirtyPages = null });

        await _client.PutLoggerAsync(new LoggerTarget("log", LogLevel.Warning), None);
        await _client.PutMetricsAsync(new MetricsTarget("metrics"), None);
        await DescribeAsync();
        await _client.ActAsync(ActionType.InstanceStart, None);
        Assert.Equal(InstanceState.Running, (await _client.GetInstanceAsync(None)).State);
        Assert.Equal((4, 512), (_fake.Cpus, _fake.MemoryMiB));

        await _client.ActAsync(ActionType.FlushMetrics, None);
        await _client.PatchBalloonAsync(new BalloonUpdate(64), None);
        Assert.Equal(64, (await _client.GetBalloonStatisticsAsync(None)).ActualMib);

        await _client.SetStateAsync(VmStateChange.Paused, None);
        Assert.Equal(InstanceState.Paused, (await _client.GetInstanceAsync(None)).State);
        await _client.CreateSnapshotAsync(new SnapshotCreation(Path.Combine(_folder, "state"), Path.Combine(_folder, "memory"), SnapshotType.Full), None);
        await _client.SetStateAsync(VmStateChange.Resumed, None);
        await _client.ActAsync(ActionType.SendCtrlAltDel, None);

        Assert.Empty(_fake.Violations);
        Assert.Equal(
            """{"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"02:42:0a:4d:00:02"}""", _fake.Bodies["PUT /network-interfaces/eth0"].GetRawText());
        Assert.Equal(
            """{"drive_id":"disk","path_on_host":"disk","is_read_only":false,"is_root_device":false,"cache_type":"Unsafe"}""",
            _fake.Bodies["PUT /drives/disk"].GetRawText());
    }

    [Theory]
    [InlineData("File")]
    [InlineData("Uffd")]
    public async Task LoadSnapshot_FreshProcess_IsThatMachine(string backend)
    {
        var state = Path.Combine(_folder, "state");
        await File.WriteAllTextAsync(state, "state");
        await _client.PutLoggerAsync(new LoggerTarget("log", LogLevel.Error), None);
        await _client.LoadSnapshotAsync(
            new SnapshotLoad(state, new MemoryBackend(Enum.Parse<MemoryBackendType>(backend), "memory")) { NetworkOverrides = [new NetworkOverride("eth0", "tap1")], TrackDirtyPages = true }, None);
        Assert.Equal(InstanceState.Paused, (await _client.GetInstanceAsync(None)).State);
        await _client.SetStateAsync(VmStateChange.Resumed, None);
        Assert.Equal(InstanceState.Running, (await _client.GetInstanceAsync(None)).State);
        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task LoadSnapshot_AlreadyDescribed_IsRefused()
    {
        await DescribeAsync();
        var refusal = await Assert.ThrowsAsync<RestException>(
            () => _client.LoadSnapshotAsync(new SnapshotLoad("state", new MemoryBackend(MemoryBackendType.File, "memory")), None));
        Assert.Contains("not allowed after configuring boot-specific resources", refusal.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Orders_AfterTheStart_AreRefusedInItsWords()
    {
        await DescribeAsync();
        await _client.ActAsync(ActionType.InstanceStart, None);
        Func<Task>[] orders =
        [
            () => DescribeAsync(),
            () => _client.ActAsync(ActionType.InstanceStart, None),
            () => _client.PutDriveAsync(new Drive("more", "more", true), None),
            () => _client.LoadSnapshotAsync(new SnapshotLoad("state", new MemoryBackend(MemoryBackendType.File, "memory")), None),
        ];
        foreach (var order in orders)
        {
            var refusal = await Assert.ThrowsAsync<RestException>(order);
            Assert.Equal((400, "The requested operation is not supported after starting the microVM."), (refusal.Status, refusal.Fault));
        }

        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task Orders_BeforeTheStart_AreRefusedInItsWords()
    {
        Func<Task>[] orders =
        [
            () => _client.SetStateAsync(VmStateChange.Paused, None),
            () => _client.CreateSnapshotAsync(new SnapshotCreation("s", "m", SnapshotType.Diff), None),
            () => _client.ActAsync(ActionType.SendCtrlAltDel, None),
            () => _client.PatchBalloonAsync(new BalloonUpdate(1), None),
        ];
        foreach (var order in orders)
        {
            var refusal = await Assert.ThrowsAsync<RestException>(order);
            Assert.Equal("The requested operation is not supported before starting the microVM.", refusal.Fault);
        }

        Assert.Empty(_fake.Violations);
    }

    [Fact]
    public async Task Act_StartWithoutKernel_IsRefused() => Assert.Contains(
        "without kernel configuration",
        (await Assert.ThrowsAsync<RestException>(() => _client.ActAsync(ActionType.InstanceStart, None))).Message,
        StringComparison.Ordinal);

    [Fact]
    public async Task CreateSnapshot_Running_IsRefused()
    {
        await DescribeAsync();
        await _client.ActAsync(ActionType.InstanceStart, None);
        var refusal = await Assert.ThrowsAsync<RestException>(
            () => _client.CreateSnapshotAsync(new SnapshotCreation("s", "m", SnapshotType.Full), None));
        Assert.Contains("not paused", refusal.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PutMachine_TooManyProcessors_IsRefusedByTheDocument()
    {
        var refusal = await Assert.ThrowsAsync<RestException>(() => _client.PutMachineAsync(new MachineConfiguration(33, 128), None));
        Assert.Equal("body.vcpu_count is 33, not 1 to 32", refusal.Fault);
        Assert.Equal("PUT /machine-config: body.vcpu_count is 33, not 1 to 32", Assert.Single(_fake.Violations));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a-b")]
    public async Task PutDrive_IdThatIsNoPart_IsRefusedHere(string id) =>
        _ = await Assert.ThrowsAsync<ArgumentException>(() => _client.PutDriveAsync(new Drive(id, "path", true), None));

    [Fact]
    public async Task TryPutSerial_OlderVersion_SaysSo()
    {
        await _fake.DisposeAsync();
        _fake = new FakeFirecracker { Missing = "/serial" };
        await _fake.StartAsync(Path.Combine(_folder, Socket));
        Assert.False(await _client.TryPutSerialAsync(new SerialDevice("console"), None));
        await _client.PutEntropyAsync(None);
    }

    [Fact]
    public async Task Orders_HypervisorGone_FailAtOnce()
    {
        _ = await _client.GetInstanceAsync(None);
        await _fake.DisposeAsync();
        var failure = await Assert.ThrowsAsync<RestException>(() => _client.GetInstanceAsync(None));
        Assert.Null(failure.Status);
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    private async Task DescribeAsync()
    {
        await _client.PutMachineAsync(new MachineConfiguration(4, 512) { TrackDirtyPages = true }, None);
        await _client.PutBootSourceAsync(new BootSource("kernel") { InitrdPath = "initramfs", BootArgs = "panic=-1" }, None);
        await _client.PutDriveAsync(new Drive("layer0", "layer0", IsReadOnly: true), None);
        await _client.PutDriveAsync(new Drive("disk", "disk", IsReadOnly: false), None);
        await _client.PutNetworkAsync(new NetworkInterface("eth0", "tap0") { GuestMac = "02:42:0a:4d:00:02" }, None);
        await _client.PutVsockAsync(new VsockDevice(3, "vsock.sock"), None);
        await _client.PutEntropyAsync(None);
        await _client.PutBalloonAsync(new Balloon(0, DeflateOnOom: true) { StatsPollingIntervalS = 1 }, None);
        Assert.True(await _client.TryPutSerialAsync(new SerialDevice("console"), None));
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using NanoVms.Tests.Drivers.OpenApi;
using NanoVms.Tests.Drivers.Vmm;

namespace NanoVms.Tests.Drivers.CloudHypervisor;

/// <summary>Cloud Hypervisor's interface with its states and the shape of its refusals.</summary>
internal sealed class FakeCloudHypervisor() : WireFake("CloudHypervisor/cloud-hypervisor.yaml", "/api/v1")
{
    private JsonElement? _config;
    private long _balloon;

    public string? State { get; private set; }

    /// <summary>Takes the next open file that came with a request, for the card of this id; null where the fake takes none.</summary>
    public Action<string>? TakeTap { get; set; }

    protected override IReadOnlyList<string> Undescribed => ["net_fds"];

    /// <summary>Called when the machine boots or is restored; a text refuses.</summary>
    public Func<JsonElement, Task<string?>>? Starting { get; set; }

    /// <summary>Called for <c>vm.reboot</c>, and where a guest resets itself.</summary>
    public Action? Rebooting { get; set; }

    /// <summary>Completes when the hypervisor was told to end.</summary>
    public TaskCompletionSource Quit { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected override async Task<WireAnswer> AnswerAsync(string method, OpenApiOperation operation, string path, JsonElement? body) => $"{method} {path}" switch
    {
        "GET /vmm.ping" => new WireAnswer(200, new { version = "v48.0", build_version = "v48.0", pid = Environment.ProcessId, features = new[] { "kvm" } }),
        "PUT /vmm.shutdown" => End(),
        "PUT /vm.create" => Create(body!.Value),
        "PUT /vm.restore" => await RestoreAsync(body!.Value),
        "GET /vm.info" when State is null => Refuse(404, "The VM info is not available", "VM is not created"),
        _ when State is null => Refuse(404, "The operation failed", "VM is not created"),
        "GET /vm.info" => new WireAnswer(200, new { config = _config, state = State, memory_actual_size = Memory - _balloon }),
        "GET /vm.counters" => new WireAnswer(200, new { disk = new { read_ops = 3L, write_ops = 0L } }),
        "PUT /vm.add-net" => AddNet(body!.Value),
        "PUT /vm.boot" => await BootAsync(),
        "PUT /vm.pause" => Change("Running", "Paused"),
        "PUT /vm.resume" => Change("Paused", "Running"),
        "PUT /vm.shutdown" => State is "Running" or "Paused" ? Set("Shutdown") : Refuse(405, "The VM could not shut down", "VM is not running"),
        "PUT /vm.reboot" => Reboot(),
        "PUT /vm.resize" => Resize(body!.Value),
        "PUT /vm.snapshot" => Save(body!.Value),
        _ => WireAnswer.Done,
    };

    protected override WireAnswer Refuse(int status, string reason) => new(status, new[] { reason });

    protected override WireAnswer RefuseUnknown(string method, string path) => new(404);

    private static WireAnswer Refuse(int status, params string[] reasons) => new(status, reasons);

    private long Memory => _config!.Value.GetProperty("memory").GetProperty("size").GetInt64();

    private WireAnswer End()
    {
        _ = Quit.TrySetResult();
        return WireAnswer.Done;
    }

    private WireAnswer Create(JsonElement config)
    {
        if (State is not null)
            return Refuse(500, "The VM could not be created", "VM is already created");
        _config = config;
        return Set("Created");
    }

    private async Task<WireAnswer> BootAsync()
    {
        if (State is not ("Created" or "Shutdown"))
            return Refuse(500, "The VM could not boot", "Invalid VM state transition");
        if (Starting is not null && await Starting(_config!.Value) is { } reason)
            return Refuse(500, "The VM could not boot", reason);
        return Set("Running");
    }

    private async Task<WireAnswer> RestoreAsync(JsonElement restore)
    {
        if (State is not null)
            return Refuse(404, "The VM could not be restored", "VM is already created");
        var folder = FolderOf(restore.GetProperty("source_url"));
        if (!File.Exists(Path.Combine(folder, "config.json")))
            return Refuse(400, "The VM could not be restored", "config.json cannot be opened");
        if (File.Exists(Path.Combine(folder, "memory-ranges")) && !FakeMemory.IsWhole(Path.Combine(folder, "memory-ranges")))
            return Refuse(500, "The VM could not be restored", "the memory is damaged");
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "config.json")));
        _config = document.RootElement.Clone();
        if (TakeTap is not null && FindNetError(restore) is { } wrong)
            return Refuse(500, "The VM could not be restored", wrong);
        if (Starting is not null && await Starting(_config.Value) is { } reason)
            return Refuse(500, "The VM could not be restored", reason);
        return Set(restore.TryGetProperty("resume", out var resume) && resume.GetBoolean() ? "Running" : "Paused");
    }

    /// <summary>Before it runs a card is only added to what was described; as the hypervisor writes it, without its files.</summary>
    private WireAnswer AddNet(JsonElement card)
    {
        if (State != "Created")
            return Refuse(500, "The device could not be added", $"VM is {State}");
        TakeTap?.Invoke(card.GetProperty("id").GetString()!);
        var config = JsonNode.Parse(_config!.Value.GetRawText())!;
        var net = config["net"] as JsonArray ?? [];
        config["net"] = net.Parent is null ? net : net.DeepClone();
        var added = JsonNode.Parse(card.GetRawText())!;
        added["fds"] = new JsonArray(-1);
        config["net"]!.AsArray().Add(added);
        _config = JsonSerializer.SerializeToElement(config);
        return WireAnswer.Done;
    }

    /// <summary>Every card of the snapshot must get its files.</summary>
    private string? FindNetError(JsonElement restore)
    {
        var cards = _config!.Value.TryGetProperty("net", out var net) ? net.EnumerateArray().Select(card => card.GetProperty("id").GetString()!).ToList() : [];
        var given = restore.TryGetProperty("net_fds", out var files) ? files.EnumerateArray().ToList() : [];
        if (!cards.SequenceEqual(given.Select(card => card.GetProperty("id").GetString()!)) || given.Any(card => card.GetProperty("num_fds").GetInt32() != 1))
            return "net_fds are not those of the snapshot";
        foreach (var card in cards)
            TakeTap!(card);
        return null;
    }

    private WireAnswer Reboot()
    {
        Rebooting?.Invoke();
        return WireAnswer.Done;
    }

    private WireAnswer Change(string from, string to) => State == from ? Set(to) : Refuse(405, $"The VM could not become {to}", $"VM is {State}");

    private WireAnswer Resize(JsonElement size)
    {
        if (size.TryGetProperty("desired_balloon", out var balloon))
            _balloon = balloon.GetInt64();
        return WireAnswer.Done;
    }

    private WireAnswer Save(JsonElement snapshot)
    {
        if (State != "Paused")
            return Refuse(405, "The VM could not be saved", "VM is not paused");
        var folder = FolderOf(snapshot.GetProperty("destination_url"));
        File.WriteAllText(Path.Combine(folder, "config.json"), _config!.Value.GetRawText());
        File.WriteAllText(Path.Combine(folder, "state.json"), "{}");
        FakeMemory.Write(Path.Combine(folder, "memory-ranges"));
        return WireAnswer.Done;
    }

    private WireAnswer Set(string state)
    {
        State = state;
        return WireAnswer.Done;
    }

    private static string FolderOf(JsonElement url) => url.GetString()!["file://".Length..];
}

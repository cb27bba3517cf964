using System.Text.Json;
using NanoVms.Tests.Drivers.OpenApi;
using NanoVms.Tests.Drivers.Vmm;

namespace NanoVms.Tests.Drivers.Firecracker;

/// <summary>Firecracker's interface with its states: what may be ordered before the start, what after it, and in which words it refuses.</summary>
internal sealed class FakeFirecracker() : WireFake("Firecracker/firecracker.yaml", "")
{
    private static readonly string[] BeforeStart =
    [
        "PUT /boot-source", "PUT /logger", "PUT /metrics", "PUT /serial", "PUT /machine-config", "PATCH /machine-config", "PUT /cpu-config",
        "PUT /drives/{drive_id}", "PUT /network-interfaces/{iface_id}", "PUT /balloon", "PUT /vsock", "PUT /entropy", "PUT /mmds/config", "PUT /snapshot/load",
    ];

    private static readonly string[] AfterStart =
    [
        "PUT /snapshot/create", "PATCH /vm", "PATCH /drives/{drive_id}", "PATCH /network-interfaces/{iface_id}", "PATCH /balloon",
        "GET /balloon/statistics", "PATCH /balloon/statistics",
    ];

    private readonly HashSet<string> _described = [];
    private int _balloon;

    public string State { get; private set; } = "Not started";

    public int Cpus { get; private set; } = 1;

    public int MemoryMiB { get; private set; } = 128;

    /// <summary>Paths of an older version that are not there.</summary>
    public string? Missing { get; init; }

    /// <summary>Called with all that was described when the machine boots or is loaded; a text refuses.</summary>
    public Func<IReadOnlyDictionary<string, JsonElement>, Task<string?>>? Starting { get; set; }

    /// <summary>Called for each network card when it is described.</summary>
    public Action<JsonElement>? Plugging { get; init; }

    /// <summary>Called for <c>SendCtrlAltDel</c>, by which a guest ends.</summary>
    public Action? Ending { get; set; }

    protected override async Task<WireAnswer> AnswerAsync(string method, OpenApiOperation operation, string path, JsonElement? body)
    {
        var order = $"{method} {operation.Template}";
        if (path == Missing)
            return RefuseUnknown(method, path);
        var action = order == "PUT /actions" ? body!.Value.GetProperty("action_type").GetString() : null;
        if (State != "Not started" && (BeforeStart.Contains(order) || action == "InstanceStart"))
            return Refuse(400, "The requested operation is not supported after starting the microVM.");
        if (State == "Not started" && (AfterStart.Contains(order) || action is "FlushMetrics" or "SendCtrlAltDel"))
            return Refuse(400, "The requested operation is not supported before starting the microVM.");

        var answer = order switch
        {
            "GET /" => new WireAnswer(200, new { id = "fake", state = State, vmm_version = "1.14.0", app_name = "Firecracker" }),
            "GET /version" => new WireAnswer(200, new { firecracker_version = "1.14.0" }),
            "GET /machine-config" => new WireAnswer(200, new { vcpu_count = Cpus, mem_size_mib = MemoryMiB, smt = false, track_dirty_pages = false }),
            "PUT /machine-config" => SetMachine(body!.Value),
            "PUT /drives/{drive_id}" => CheckId(path, body!.Value.GetProperty("drive_id")),
            "PUT /network-interfaces/{iface_id}" => Plug(path, body!.Value),
            "PUT /balloon" or "PATCH /balloon" => SetBalloon(body!.Value),
            "GET /balloon/statistics" => new WireAnswer(200, new { target_pages = _balloon * 256, actual_pages = _balloon * 256, target_mib = _balloon, actual_mib = _balloon }),
            "PUT /actions" when action == "InstanceStart" => await StartAsync(),
            "PUT /actions" when action == "SendCtrlAltDel" => End(),
            "PUT /snapshot/load" => await LoadAsync(body!.Value),
            "PATCH /vm" => Change(body!.Value.GetProperty("state").GetString()!),
            "PUT /snapshot/create" => Save(body!.Value),
            _ => WireAnswer.Done,
        };
        if (answer.Status < 300 && BeforeStart.Contains(order))
            _ = _described.Add(order);
        return answer;
    }

    protected override WireAnswer Refuse(int status, string reason) => new(status, new { fault_message = reason });

    protected override WireAnswer RefuseUnknown(string method, string path) =>
        Refuse(400, $"Invalid request method and/or path: {method} {path.TrimStart('/')}.");

    private WireAnswer SetMachine(JsonElement machine)
    {
        (Cpus, MemoryMiB) = (machine.GetProperty("vcpu_count").GetInt32(), machine.GetProperty("mem_size_mib").GetInt32());
        return WireAnswer.Done;
    }

    private WireAnswer Plug(string path, JsonElement card)
    {
        Plugging?.Invoke(card);
        return CheckId(path, card.GetProperty("iface_id"));
    }

    private WireAnswer CheckId(string path, JsonElement id) => path.EndsWith($"/{id.GetString()}", StringComparison.Ordinal)
        ? WireAnswer.Done
        : Refuse(400, "The id from the path does not match the id from the body!");

    private WireAnswer SetBalloon(JsonElement balloon)
    {
        if (State != "Not started" && !_described.Contains("PUT /balloon"))
            return Refuse(400, "No balloon device found.");
        _balloon = balloon.GetProperty("amount_mib").GetInt32();
        return WireAnswer.Done;
    }

    private async Task<WireAnswer> StartAsync()
    {
        if (!_described.Contains("PUT /boot-source"))
            return Refuse(400, "Cannot start microvm without kernel configuration.");
        if (Starting is not null && await Starting(Bodies) is { } reason)
            return Refuse(400, reason);
        State = "Running";
        return WireAnswer.Done;
    }

    private WireAnswer End()
    {
        Ending?.Invoke();
        return WireAnswer.Done;
    }

    private async Task<WireAnswer> LoadAsync(JsonElement load)
    {
        if (_described.Any(order => order is not ("PUT /logger" or "PUT /metrics")))
            return Refuse(400, "Loading a microVM snapshot not allowed after configuring boot-specific resources.");
        if (load.TryGetProperty("mem_backend", out _) == load.TryGetProperty("mem_file_path", out _))
            return Refuse(400, "Only one of 'mem_backend' and 'mem_file_path' can be set");
        if (!File.Exists(Native(load.GetProperty("snapshot_path").GetString())))
            return Refuse(400, "Load snapshot error: Failed to open the snapshot file: No such file or directory (os error 2)");
        if (Starting is not null && !FakeMemory.IsWhole(Native(load.GetProperty("mem_backend").GetProperty("backend_path").GetString())))
            return Refuse(400, "Load snapshot error: the memory is damaged");
        if (Starting is not null && await Starting(ReadState(load)) is { } reason)
            return Refuse(400, reason);
        State = load.TryGetProperty("resume_vm", out var resume) && resume.GetBoolean() ? "Running" : "Paused";
        return WireAnswer.Done;
    }

    private static Dictionary<string, JsonElement> ReadState(JsonElement load)
    {
        var described = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(File.ReadAllText(Native(load.GetProperty("snapshot_path").GetString())))!;
        if (load.TryGetProperty("network_overrides", out var cards))
            described["network_overrides"] = cards.Clone();
        return described;
    }

    private WireAnswer Change(string to)
    {
        State = to == "Paused" ? "Paused" : "Running";
        return WireAnswer.Done;
    }

    private WireAnswer Save(JsonElement snapshot)
    {
        if (State != "Paused")
            return Refuse(400, "Create snapshot error: Cannot save a microVM that is not paused");
        File.WriteAllText(Native(snapshot.GetProperty("snapshot_path").GetString()), JsonSerializer.Serialize(Bodies));
        FakeMemory.Write(Native(snapshot.GetProperty("mem_file_path").GetString()));
        return WireAnswer.Done;
    }
}

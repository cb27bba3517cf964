using System.Globalization;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// Saves and loads the state of a machine's devices, and nothing else: its memory is a file that others copy or map. QEMU has an order
/// for the former (<c>xen-save-devices-state</c>, a few KiB within a millisecond); what it writes is a migration without memory, and read as one.
/// </summary>
internal static class QemuDevices
{
    private const string FileName = "devices";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(2);

    /// <summary>QEMU writes no section about itself by that order, so it must not look for one either.</summary>
    public static IReadOnlyList<string> Arguments { get; } = ["-global", "migration.send-configuration=off"];

    /// <param name="devices">An empty file, open for writing alone.</param>
    public static async Task SaveAsync(QmpClient monitor, SafeFileHandle devices, CancellationToken cancellationToken)
    {
        var added = await monitor.ExecuteAsync("add-fd", null, cancellationToken, file: devices);
        var set = added.GetProperty("fdset-id").GetInt32();
        try
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"/dev/fdset/{set}");
            _ = await monitor.ExecuteAsync("xen-save-devices-state", new Dictionary<string, object> { ["filename"] = name, ["live"] = false }, cancellationToken, Limit);
        }
        finally
        {
            _ = await monitor.ExecuteAsync("remove-fd", new Dictionary<string, object> { ["fdset-id"] = set }, CancellationToken.None);
        }
    }

    /// <summary>For a QEMU that was started with <c>-incoming defer</c>; it stays halted.</summary>
    public static async Task LoadAsync(QmpClient monitor, SafeFileHandle devices, TimeProvider time, CancellationToken cancellationToken)
    {
        await monitor.SendFileAsync(FileName, devices, cancellationToken);
        _ = await monitor.ExecuteAsync("migrate-incoming", new Dictionary<string, object> { ["uri"] = $"fd:{FileName}" }, cancellationToken);
        var started = time.GetTimestamp();
        while (true)
        {
            var answer = await monitor.ExecuteAsync("query-migrate", null, cancellationToken);
            switch (Text(answer, "status"))
            {
                case "completed":
                    return;
                case "failed" or "cancelled":
                    throw new QmpException($"QEMU could not load the machine's devices: {Text(answer, "error-desc") ?? "it gave no reason"}.");
            }

            if (time.GetElapsedTime(started) > Limit)
                throw new QmpException($"QEMU did not load the machine's devices in {Limit.TotalSeconds:0} seconds.");
            await Task.Delay(Poll, time, cancellationToken);
        }
    }

    private static string? Text(JsonElement answer, string name) => answer.TryGetProperty(name, out var value) ? value.GetString() : null;
}

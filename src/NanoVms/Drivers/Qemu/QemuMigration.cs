using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// Saves and loads the state of a machine's devices by QEMU's migration, to and from a file. Memory is left out
/// (<c>x-ignore-shared</c>): it is a file of its own, which is copied by whoever owns it.
/// </summary>
internal static class QemuMigration
{
    private const string FileName = "state";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(2);

    public static Task SaveAsync(QmpClient monitor, SafeFileHandle state, TimeProvider time, CancellationToken cancellationToken) =>
        RunAsync(monitor, "migrate", state, time, cancellationToken);

    /// <summary>For a QEMU that was started with <c>-incoming defer</c>; it stays halted.</summary>
    public static Task LoadAsync(QmpClient monitor, SafeFileHandle state, TimeProvider time, CancellationToken cancellationToken) =>
        RunAsync(monitor, "migrate-incoming", state, time, cancellationToken);

    private static async Task RunAsync(QmpClient monitor, string command, SafeFileHandle state, TimeProvider time, CancellationToken cancellationToken)
    {
        object[] capabilities = [new Dictionary<string, object> { ["capability"] = "x-ignore-shared", ["state"] = true }];
        _ = await monitor.ExecuteAsync("migrate-set-capabilities", new Dictionary<string, object> { ["capabilities"] = capabilities }, cancellationToken);
        await monitor.SendFileAsync(FileName, state, cancellationToken);
        _ = await monitor.ExecuteAsync(command, new Dictionary<string, object> { ["uri"] = $"fd:{FileName}" }, cancellationToken);
        var started = time.GetTimestamp();
        while (true)
        {
            var answer = await monitor.ExecuteAsync("query-migrate", null, cancellationToken);
            switch (Text(answer, "status"))
            {
                case "completed":
                    return;
                case "failed" or "cancelled":
                    throw new QmpException($"QEMU could not {(command == "migrate" ? "save" : "load")} the machine's devices: {Text(answer, "error-desc") ?? "it gave no reason"}.");
            }

            if (time.GetElapsedTime(started) > Limit)
                throw new QmpException($"QEMU did not finish '{command}' in {Limit.TotalSeconds:0} seconds.");
            await Task.Delay(Poll, time, cancellationToken);
        }
    }

    private static string? Text(JsonElement answer, string name) => answer.TryGetProperty(name, out var value) ? value.GetString() : null;
}

using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;

namespace NanoVms.Drivers.Qemu;

/// <summary>The monitor of one running QEMU.</summary>
internal sealed class QemuInstance : IAsyncDisposable
{
    public const string MonitorSocket = "monitor.sock";
    private static readonly TimeSpan QuitLimit = TimeSpan.FromSeconds(2);
    private readonly QmpClient _monitor;

    private QemuInstance(QmpClient monitor) => _monitor = monitor;

    /// <summary>Completes, never fails, when the monitor's stream ends: as a rule because QEMU did.</summary>
    public Task Closed => _monitor.Closed;

    /// <exception cref="QmpException">Nobody listens or answers.</exception>
    public static async Task<QemuInstance> ConnectAsync(
        string folder, Action<QmpEvent> onEvent, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            var stream = await UnixSockets.ConnectAsync(folder, MonitorSocket, cancellationToken);
            return new QemuInstance(await QmpClient.ConnectAsync(stream, onEvent, time, cancellationToken));
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new QmpException($"QEMU's monitor cannot be reached: {e.Message}", e);
        }
    }

    /// <summary>QEMU's run state, for example <c>running</c>, <c>paused</c>, <c>shutdown</c>, <c>io-error</c>, <c>internal-error</c>.</summary>
    public async Task<string> GetStatusAsync(CancellationToken cancellationToken)
    {
        var status = await _monitor.ExecuteAsync("query-status", null, cancellationToken);
        return status.TryGetProperty("status", out var text) ? text.GetString() ?? "" : "";
    }

    public Task PauseAsync(CancellationToken cancellationToken) => _monitor.ExecuteAsync("stop", null, cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => _monitor.ExecuteAsync("cont", null, cancellationToken);

    /// <summary>Writes the state of the halted machine's devices to an empty file, open for writing alone.</summary>
    public Task SaveAsync(SafeFileHandle devices, CancellationToken cancellationToken) => QemuDevices.SaveAsync(_monitor, devices, cancellationToken);

    /// <summary>Reads it back, into a QEMU that waits for it.</summary>
    public Task LoadAsync(SafeFileHandle devices, TimeProvider time, CancellationToken cancellationToken) =>
        QemuDevices.LoadAsync(_monitor, devices, time, cancellationToken);

    /// <summary>Asks the guest to make do with this much of its memory, in bytes; its balloon driver gives back what it can, as it can.</summary>
    public Task SetMemoryAsync(long bytes, CancellationToken cancellationToken) =>
        _monitor.ExecuteAsync("balloon", new Dictionary<string, object> { ["value"] = bytes }, cancellationToken);

    /// <summary>The guest's memory less what its balloon holds, in bytes.</summary>
    /// <exception cref="QmpException">The guest has no balloon driver.</exception>
    public async Task<long> GetMemoryAsync(CancellationToken cancellationToken)
    {
        var balloon = await _monitor.ExecuteAsync("query-balloon", null, cancellationToken);
        return balloon.TryGetProperty("actual", out var actual) ? actual.GetInt64() : 0;
    }

    /// <summary>Asks QEMU to end; true when it took the order.</summary>
    public async Task<bool> TryQuitAsync(CancellationToken cancellationToken)
    {
        try
        {
            _ = await _monitor.ExecuteAsync("quit", null, cancellationToken, QuitLimit);
            return true;
        }
        catch (QmpException)
        {
            return false;
        }
    }

    /// <summary>What the ring holds of the guest's console, taken out of it. Empty when QEMU is gone.</summary>
    public async Task<byte[]> ReadConsoleAsync(CancellationToken cancellationToken)
    {
        try
        {
            var arguments = new Dictionary<string, object>
            {
                ["device"] = QemuArguments.ConsoleDevice,
                ["size"] = QemuArguments.ConsoleBytes,
                ["format"] = "base64",
            };
            var answer = await _monitor.ExecuteAsync("ringbuf-read", arguments, cancellationToken, QuitLimit);
            return Convert.FromBase64String(answer.GetString() ?? "");
        }
        catch (Exception e) when (e is QmpException or FormatException or InvalidOperationException)
        {
            return [];
        }
    }

    public ValueTask DisposeAsync() => _monitor.DisposeAsync();
}

using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using BytePort.Server.Logs;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>Keeps what the machines by themselves write, in the runtime log under a key of each machine's own.</summary>
internal sealed class MachineLogs(MachineHost machines, RuntimeLog log, TimeProvider time, ILogger<MachineLogs> logger) : IHostedService
{
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Reader> _readers = new();

    /// <summary>What the runtime log calls a machine: an id of version 0, while those of projects are of version 7.</summary>
    public static Guid KeyOf(string machine)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes(machine)).AsSpan(0, 16);
        bytes[6] &= 0x0f;
        return new Guid(bytes, bigEndian: true);
    }

    /// <summary>Follows the machines that were there before this process, and forgets what is left of those that are gone.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        var own = machines.Machines.Where(MachineService.IsByItself).ToList();
        log.RemoveAll(key => key.Version == 0 && own.All(machine => KeyOf(machine.Id) != key));
        foreach (var machine in own)
            Follow(machine);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var reader in _readers.Values)
            await reader.EndAsync();
        _readers.Clear();
    }

    /// <summary>Begins to keep a machine's output; once for each machine.</summary>
    public void Follow(Machine machine) => _readers[machine.Id] = new Reader(cancellationToken => ReadAsync(machine, cancellationToken));

    /// <summary>The newest lines, oldest first.</summary>
    public IReadOnlyList<(long Offset, RuntimeLine Line)> Tail(string machine, int lines, out long next) => log.Tail(KeyOf(machine), lines, _ => true, out next);

    /// <summary>Lets the reader finish what the stopped machine still gave, then forgets the machine.</summary>
    public async Task RemoveAsync(string machine)
    {
        if (_readers.TryRemove(machine, out var reader))
        {
            await Task.WhenAny(reader.Reading, Task.Delay(EndLimit, time));
            await reader.EndAsync();
        }

        log.Remove(KeyOf(machine));
    }

    private async Task ReadAsync(Machine machine, CancellationToken cancellationToken)
    {
        var key = KeyOf(machine.Id);
        try
        {
            var position = log.PositionOf(key, machine.Id);
            var lines = new LineAssembler(machine.Spec.Name, machine.Id, position, time);
            await foreach (var chunk in machine.ReadOutputAsync(position, cancellationToken))
                Append(key, lines.Add(chunk));
            Append(key, lines.Finish());
        }
        catch (OperationCanceledException)
        {
            // The next reader goes on from what is kept.
        }
        catch (Exception exception) when (exception is MachineException or IOException)
        {
            Log.OutputLost(logger, machine.Id, exception);
        }
    }

    private void Append(Guid key, IReadOnlyList<RuntimeLine> lines)
    {
        if (lines.Count > 0)
            log.Append(key, lines);
    }

    /// <summary>One machine's reading.</summary>
#pragma warning disable CA1001 // Its source has no timer and no wait handle; the collector takes it with the reader.
    private sealed class Reader
#pragma warning restore CA1001
    {
        private readonly CancellationTokenSource _end = new();

        public Reader(Func<CancellationToken, Task> read) => Reading = Task.Run(() => read(_end.Token));

        public Task Reading { get; }

        public async Task EndAsync()
        {
            await _end.CancelAsync();
            await Reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}

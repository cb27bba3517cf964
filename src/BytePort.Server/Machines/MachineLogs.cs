using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using BytePort.Server.Database;
using BytePort.Server.Logs;
using NanoVms.Machines;

namespace BytePort.Server.Machines;

/// <summary>Keeps what the machines by themselves write, in the runtime log under a key of each machine's own.</summary>
internal sealed class MachineLogs(MachineHost machines, RuntimeLog log, ChangeHub changes, TimeProvider time, ILogger<MachineLogs> logger) : IHostedService
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
    public void Follow(Machine machine) =>
        _readers[machine.Id] = new Reader(cancellationToken => ReadAsync(machine, cancellationToken), () => changes.Wake(Changes.Log(KeyOf(machine.Id))));

    /// <summary>The newest lines, oldest first.</summary>
    public IReadOnlyList<(long Offset, RuntimeLine Line)> Tail(string machine, int lines, out long next) => log.Tail(KeyOf(machine), lines, _ => true, out next);

    /// <summary>True when nothing more will be added: the main process has ended and all was read, or the machine is gone.</summary>
    public bool IsWhole(string machine) => !_readers.TryGetValue(machine, out var reader) || reader.IsDone;

    /// <summary>Lets the reader finish what the stopped machine still gave, then forgets the machine.</summary>
    public async Task RemoveAsync(string machine)
    {
        if (_readers.TryRemove(machine, out var reader))
        {
            await Task.WhenAny(reader.Reading, Task.Delay(EndLimit, time));
            await reader.EndAsync();
        }

        log.Remove(KeyOf(machine));
        changes.Wake(Changes.Log(KeyOf(machine)));
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

        private volatile bool _isDone;

        public Reader(Func<CancellationToken, Task> read, Action done) => Reading = Task.Run(async () =>
        {
            await read(_end.Token);
            _isDone = true;
            done();
        });

        public Task Reading { get; }

        /// <summary>Already true for those whom its end wakes.</summary>
        public bool IsDone => _isDone;

        public async Task EndAsync()
        {
            await _end.CancelAsync();
            await Reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}

using NanoVms.Drivers;

namespace NanoVms.Machines;

/// <summary>
/// The console of one machine. The hypervisor holds what is new; what was read of it lies in the machine's folder, so that neither a restart
/// nor the guest's end takes it away.
/// </summary>
/// <param name="hypervisor">Null for a machine that has ended.</param>
#pragma warning disable CA1001 // Its semaphore has no wait handle; the collector takes it with the machine.
internal sealed class MachineConsole(string folder, IHypervisor? hypervisor)
#pragma warning restore CA1001
{
    public const string FileName = "console.kept";

    private readonly SemaphoreSlim _reading = new(1);
    private ConsoleRecord? _record;
    private bool _closed;

    /// <summary>What there is from an offset on, null when there is nothing new.</summary>
    public async Task<ConsoleChunk?> ReadAsync(long from, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            return (await UpdateAsync(cancellationToken)).Read(from);
        }
        finally
        {
            _ = _reading.Release();
        }
    }

    /// <summary>The last lines as text without control characters.</summary>
    public async Task<string> TailAsync()
    {
        await _reading.WaitAsync();
        try
        {
            return ConsoleText.Tail((await UpdateAsync(CancellationToken.None)).Tail.Span);
        }
        finally
        {
            _ = _reading.Release();
        }
    }

    /// <summary>Leaves the folder alone from now on.</summary>
    public async Task CloseAsync()
    {
        await _reading.WaitAsync();
        _closed = true;
        _ = _reading.Release();
    }

    private async Task<ConsoleRecord> UpdateAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(folder, FileName);
        _record ??= Load(path);
        if (hypervisor is null || _closed)
            return _record;
        // What was taken from the hypervisor is nowhere else: from there on nothing is canceled.
        cancellationToken.ThrowIfCancellationRequested();
        var read = await hypervisor.ReadConsoleAsync(CancellationToken.None);
        if (read.Length == 0)
            return _record;
        _record.Add(read);
        try
        {
            var aside = path + ".new";
            File.WriteAllBytes(aside, _record.ToBytes());
            File.Move(aside, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The machine is being removed, or the disk is full: this process still has it.
        }

        return _record;
    }

    private static ConsoleRecord Load(string path)
    {
        try
        {
            return ConsoleRecord.FromBytes(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new ConsoleRecord();
        }
    }
}

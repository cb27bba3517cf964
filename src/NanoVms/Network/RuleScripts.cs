using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>Runs nftables scripts one after the other: each takes the whole rule set's lock, and one that waits for it is tried again in vain.</summary>
internal sealed class RuleScripts : IDisposable
{
    private readonly SemaphoreSlim _running = new(1);

    /// <exception cref="CommandException">The script was refused, as a whole.</exception>
    public async Task RunAsync(string script, CancellationToken cancellationToken)
    {
        await _running.WaitAsync(cancellationToken);
        try
        {
            _ = await CommandRunner.RunCheckedAsync(IpCommands.Nft(script), cancellationToken);
        }
        finally
        {
            _ = _running.Release();
        }
    }

    /// <summary>For removals, which fail when the rule is not there: what is wanted.</summary>
    public async Task TryAsync(string script, CancellationToken cancellationToken)
    {
        await _running.WaitAsync(cancellationToken);
        try
        {
            _ = await CommandRunner.RunAsync(IpCommands.Nft(script), cancellationToken);
        }
        finally
        {
            _ = _running.Release();
        }
    }

    public void Dispose() => _running.Dispose();
}

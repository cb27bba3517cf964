using System.Threading.Channels;
using NanoVms.Agent;

namespace NanoVms.Machines;

/// <summary>Tells one machine's guest the names of its group, whenever they change, until the guest has them.</summary>
internal sealed class MachineNames(MachineContext context, MachineLife life)
{
    /// <summary>Machines often change together.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan MaxRetry = TimeSpan.FromSeconds(30);
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Whether the machine's group should resolve its name.</summary>
    public bool IsAnnounced => life.Record.Announced ?? life.Record.Spec.Announced;

    public void SetAnnounced(bool announced)
    {
        if (IsAnnounced == announced)
            return;
        life.Parts.Update(r => r with { Announced = announced });
        context.Names.Wake(life);
    }

    public void Wake() => _ = _changes.Writer.TryWrite(true);

    public async Task RunAsync()
    {
        IReadOnlyList<GuestName>? told = null;
        try
        {
            while (true)
            {
                _ = await _changes.Reader.ReadAsync(life.Gone);
                await Task.Delay(Pause, context.Time, life.Gone);
                var names = context.Names.For(life.Record, life.Cards);
                if (told is not null && names.SequenceEqual(told))
                    continue;
                told = await TellAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // Ended or let go.
        }
    }

    private async Task<IReadOnlyList<GuestName>> TellAsync()
    {
        for (var delay = Retry; ; delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, MaxRetry.Ticks)))
        {
            // Asked for anew each time: it may take long until a paused guest answers.
            var names = context.Names.For(life.Record, life.Cards);
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(life.Gone);
                limit.CancelAfter(AnswerLimit);
                var agent = await life.GetAgentAsync(limit.Token);
                await agent.SetNamesAsync(names, limit.Token);
                return names;
            }
            catch (Exception e) when (e is AgentException || (e is OperationCanceledException && !life.Gone.IsCancellationRequested))
            {
                Log.NamesNotTold(context.Logger, life.Record.Id, e.Message, delay);
                // Sooner when something changes, as when a paused machine goes on.
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(life.Gone);
                await Task.WhenAny(Task.Delay(delay, context.Time, limit.Token), _changes.Reader.WaitToReadAsync(limit.Token).AsTask());
                await limit.CancelAsync();
                life.Gone.ThrowIfCancellationRequested();
            }
        }
    }
}

using System.Text;
using NanoVms.Machines;

namespace BytePort.Server.Machines.Templates;

/// <summary>Runs a template's <c>on-disconnect</c> in a machine when a terminal that was attached to it is gone, however it went.</summary>
internal sealed class DisconnectHooks(MachineService machines, TemplateStore templates, IHostApplicationLifetime lifetime, ILogger<DisconnectHooks> logger)
{
    private const int MaxSaid = 2000;

    /// <summary>Begins it; nobody waits for it, and a failure is logged.</summary>
    public void Disconnected(Guid team, string id)
    {
        try
        {
            if (MachineService.RequestOf(machines.Get(team, id)).Template is { } template)
                _ = Task.Run(() => RunAsync(team, id, template));
        }
        catch (MachineFaultException)
        {
            // The machine went first.
        }
    }

    private async Task RunAsync(Guid team, string id, string template)
    {
        try
        {
            TimeSpan limit;
            using (var lease = await templates.TakeAsync(team, template, lifetime.ApplicationStopping))
            {
                if (!lease.Content.Scripts.Contains(TemplateContent.OnDisconnect))
                    return;
                limit = TimeSpan.FromSeconds(lease.Content.File.Template.ScriptSeconds);
            }

            using var late = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
            late.CancelAfter(limit);
            await using var process = await machines.ExecAsync(team, id, TemplateUse.Script(TemplateContent.OnDisconnect), late.Token);
            var said = new StringBuilder();
            await foreach (var chunk in process.ReadOutputAsync(late.Token))
                _ = said.Append(Encoding.UTF8.GetString(chunk.Data.Span[..Math.Min(chunk.Data.Length, MaxSaid - Math.Min(MaxSaid, said.Length))]));
            var exit = await process.Exited.WaitAsync(late.Token);
            if (exit.ExitCode != 0)
                Log.ScriptFailed(logger, id, TemplateContent.OnDisconnect, $"{exit.Reason} {string.Concat(said.ToString().Where(c => !char.IsControl(c) || c == '\t'))}");
        }
        catch (Exception e) when (e is MachineFaultException or MachineException or OperationCanceledException or IOException)
        {
            Log.ScriptFailed(logger, id, TemplateContent.OnDisconnect, e is OperationCanceledException ? "It took too long and was killed." : e.Message);
        }
    }
}

using System.Text;
using NanoVms.Agent;
using NanoVms.Agent.Copies;
using NanoVms.Commands;

namespace NanoVms.Machines;

/// <summary>Puts files into a fresh guest and runs what is to run before its main process.</summary>
/// <remarks>Steps: 1 folders over the root, 2 shared folders, 3 what runs at boot.</remarks>
internal sealed class MachineSettingUp(MachineSpec spec, MachineSetup? setup)
{
    private const int OutputBytes = 4096;

    /// <exception cref="MachineException">A file cannot be laid, or a program failed.</exception>
    public async Task RunAsync(AgentConnection agent, CancellationToken cancellationToken)
    {
        // 1
        foreach (var folder in setup?.Folders ?? [])
            await Files(agent, $"The files of {folder.GuestPath}").OverlayAsync(folder, cancellationToken);

        // 2
        foreach (var shared in spec.SharedFolders)
        {
            SharedFolder.Prepare(shared.HostPath);
            await Files(agent, $"The shared folder {shared.GuestPath}").CopyInAsync(shared.HostPath, shared.GuestPath, 0, 0, cancellationToken);
        }

        // 3
        foreach (var hook in setup?.OnBoot ?? [])
            await RunAsync(agent, hook, cancellationToken);
    }

    private async Task RunAsync(AgentConnection agent, HookSpec hook, CancellationToken cancellationToken)
    {
        var output = new BoundedText(OutputBytes, keepTail: true);
        var what = $"Machine '{spec.Name}' did not start: '{hook.Process.Command[0]}', which runs at its boot,";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(hook.Limit);
        try
        {
            var exit = await agent.RunAsync(hook.Process, chunk => output.Append(chunk.Data.Span), limit.Token);
            if (exit.ExitCode != 0)
                throw new MachineException($"{what} failed. {exit.Reason}{Said(output)}");
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MachineException($"{what} did not end in {hook.Limit.TotalSeconds:0} seconds and was killed.{Said(output)}", e);
        }
    }

    private GuestFiles Files(AgentConnection agent, string what) =>
        agent.Files(failure => new MachineException($"Machine '{spec.Name}' did not start: {what} cannot be laid into it: {failure.Message}", failure));

    private static string Said(BoundedText output) =>
        Drivers.ConsoleText.Tail(Encoding.UTF8.GetBytes(output.ToString())) is { Length: > 0 } text ? $" It said:\n{text}" : "";
}

using NanoVms.Agent.Interop;
using NanoVms.Agent.Processes;
using NanoVms.Machines;

namespace NanoVms.Agent;

/// <summary>The orderly part of the guest's end, while hosts can still follow it. The rest is <see cref="Guest.Power"/>'s.</summary>
/// <remarks>1. each hook, one after the other; 2. the main process gets its stop signal, and at the end of its grace SIGKILL; 3. its last output is read.</remarks>
/// <param name="stopSignal">SIGTERM unless the machine's image wants another.</param>
/// <param name="drained">Whether hosts have got all output.</param>
/// <param name="done">Called once, at the end.</param>
internal sealed class Shutdown(EventLoop loop, Services services, TimeSpan grace, int stopSignal, Func<bool> drained, Action done)
{
    // A process that the kernel holds does not end by SIGKILL either.
    private static readonly TimeSpan KillTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(10);
    private const int DrainSteps = 50;

    public void Begin(IReadOnlyList<HookSpec> hooks) => RunHook(hooks, 0);

    private void RunHook(IReadOnlyList<HookSpec> hooks, int index)
    {
        if (index == hooks.Count)
        {
            EndMain();
            return;
        }

        Service hook;
        try
        {
            hook = services.Restart($"before-shutdown-{index + 1}", hooks[index].Process);
        }
        catch (AgentFailure failure)
        {
            Guest.KernelLog.Error($"hook {index + 1} before the shutdown: {failure.Message}");
            RunHook(hooks, index + 1);
            return;
        }

        Follow(hook, hooks[index].Limit, () => RunHook(hooks, index + 1));
    }

    private void EndMain()
    {
        services.Main.Signal(stopSignal);
        Follow(services.Main, grace, () => Drain(DrainSteps));
    }

    private void Drain(int steps)
    {
        if (steps == 0 || drained())
            done();
        else
            loop.After(DrainStep, () => Drain(steps - 1));
    }

    /// <summary>Goes on when the process has ended, which it is made to do after a time.</summary>
    private void Follow(Service service, TimeSpan limit, Action next)
    {
        if (service.State != MainState.Running)
        {
            next();
            return;
        }

        LoopTimer? timer = null;
        timer = loop.After(limit, () =>
        {
            timer = loop.After(KillTime, GoOn);
            service.Signal(Libc.SIGKILL);
        });
        service.Exited += GoOn;

        void GoOn()
        {
            service.Exited -= GoOn;
            timer!.Stop();
            next();
        }
    }
}

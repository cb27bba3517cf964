using BytePort.Manifest;
using BytePort.Server.Deployments;
using BytePort.Server.Logs;
using BytePort.Server.Projects;
using NanoVms.Machines;
using Npgsql;

namespace BytePort.Server.Instances;

/// <summary>Keeps one instance running until it is told to stop.</summary>
/// <remarks>
/// 1. Adopt the machine that runs, or start one. 2. Wait until it is healthy; a first start that fails is final, because then it is the
/// deployment that is wrong. 3. Watch: a machine that ends, or stays unhealthy, leaves the routes and is replaced. 4. Before each
/// restart wait, twice as long each time up to a minute; two minutes of health forget the past. 5. Told to stop: out of the
/// routes, SIGTERM, machine and row removed.
/// </remarks>
#pragma warning disable CA1001 // Its sources have no timers and no wait handles; the collector takes them with the runner.
internal sealed class InstanceRunner
#pragma warning restore CA1001
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan TimeToBind = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Forgiveness = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(5);
    /// <summary>A worker serves no port: it is well when it has not ended by then.</summary>
    private static readonly TimeSpan TimeToSettle = TimeSpan.FromSeconds(2);

    private const int ChecksToLeave = 2;
    private const int ChecksToReplace = 6;
    private const int TailLines = 20;

    private readonly InstanceRuntime _runtime;
    private readonly Action _wake;
    private readonly PlannedService _service;
    private readonly Guid _projectId;
    private readonly MachineOwner _owner;
    private readonly string _project;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _detach = new();
    private readonly HealthCheck _health;
    private Task _running = Task.CompletedTask;
    private string? _machineId;
    private bool _everHealthy;
    private int _restarts;

    private InstanceRunner(Instance row, Deployment deployment, Project project, InstanceRuntime runtime, Action wake)
    {
        Id = row.Id;
        DeploymentId = row.DeploymentId;
        Service = row.Service;
        _runtime = runtime;
        _wake = wake;
        _projectId = project.Id;
        _owner = new MachineOwner(project.Name, project.TeamId, deployment.EnvironmentId);
        _project = project.Name;
        _service = DeploymentPlan.Parse(deployment.Plan!).Services.First(s => s.Plan.Name == row.Service);
        _health = new HealthCheck(runtime.Health, _service.Plan.HealthPath);
        _machineId = row.MachineId;
        _everHealthy = row.HealthyAt is not null;
        _restarts = row.Restarts;
    }

    public Guid Id { get; }

    public Guid DeploymentId { get; }

    public string Service { get; }

    public Guid EnvironmentId => _owner.Environment;

    /// <summary>Where it takes requests; null while it does not.</summary>
    public Uri? Endpoint { get; private set; }

    public bool Ended => _running.IsCompleted;

    /// <summary>Begins to keep the instance; an adopted healthy one has its <see cref="Endpoint"/> when this returns.</summary>
    public static InstanceRunner Start(Instance row, Deployment deployment, Project project, InstanceRuntime runtime, Action wake)
    {
        var runner = new InstanceRunner(row, deployment, project, runtime, wake);
        if (row.State == InstanceState.Healthy && runner.FindMachine() is { Address: { } address })
        {
            runner.Endpoint = runner.EndpointOf(address);
        }

        runner._running = Task.Run(() => runner.RunAsync(row.State));
        return runner;
    }

    /// <summary>Whether the environment's machines find this one by its service's name.</summary>
    public void SetAnnounced(bool announced) => FindMachine()?.SetAnnounced(announced);

    public void RequestStop() => _stop.Cancel();

    /// <summary>Ends the watching; the machine goes on.</summary>
    public async Task DetachAsync()
    {
        await _detach.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync(InstanceState state)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _detach.Token);
        try
        {
            while (state != InstanceState.Failed && !either.IsCancellationRequested)
            {
                state = await LiveOnceAsync(either.Token);
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, either.Token);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            // Told to stop or to let go; which one is decided below.
        }
        catch (Exception exception)
        {
            Log.Unexpected(_runtime.Logger, _project, Service, exception);
            await Task.Delay(TimeSpan.FromSeconds(5), _runtime.Time, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        if (_stop.IsCancellationRequested && !_detach.IsCancellationRequested)
        {
            await EndAsync();
        }

        _wake();
    }

    /// <summary>One life of the machine.</summary>
    /// <returns>The state after it.</returns>
    private async Task<InstanceState> LiveOnceAsync(CancellationToken cancellationToken)
    {
        string reason;
        Task? pumping = null;
        Machine? machine = null;
        try
        {
            // 1.
            machine = FindMachine();
            if (machine is null)
            {
                await SetAsync(InstanceState.Starting, _restarts > 0 ? "Restarting" : null, cancellationToken);
                machine = await _runtime.StartMachineAsync(Id, _service, _owner, cancellationToken);
            }
            else
            {
                Log.Adopted(_runtime.Logger, _project, Service, machine.Id);
            }

            _machineId = machine.Id;
            await _runtime.UpdateAsync(Id, row => row.MachineId = machine.Id, cancellationToken);
            pumping = PumpLogAsync(machine, cancellationToken);
            // 2. and 3.
            reason = await WatchAsync(machine, cancellationToken);
        }
        catch (MachineException exception)
        {
            reason = exception.Message;
        }

        await LeaveRoutesAsync(cancellationToken);
        if (pumping is not null)
        {
            // What the process said last is why it ended.
            await Task.WhenAny(pumping, Task.Delay(TimeSpan.FromSeconds(2), _runtime.Time, cancellationToken));
        }

        if (machine is not null)
        {
            await machine.StopAsync(TimeSpan.Zero, cancellationToken);
        }

        if (!_everHealthy)
        {
            await SetAsync(InstanceState.Failed, reason + TailOf(_machineId), cancellationToken);
            return InstanceState.Failed;
        }

        // 4.
        _restarts++;
        var delay = TimeSpan.FromSeconds(Math.Min(Math.Pow(2, Math.Min(_restarts - 1, 10)), LongestBackoff.TotalSeconds));
        Log.Restarting(_runtime.Logger, _project, Service, reason, _restarts, delay);
        await _runtime.UpdateAsync(Id, row => (row.State, row.Reason, row.Restarts, row.MachineId) = (InstanceState.Backoff, $"{reason} Restart {_restarts} follows in {delay.TotalSeconds} s.", _restarts, null), cancellationToken);
        await Task.Delay(delay, _runtime.Time, cancellationToken);
        return InstanceState.Backoff;
    }

    private async Task<string> WatchAsync(Machine machine, CancellationToken cancellationToken)
    {
        var address = EndpointOf(machine.Address!);
        var began = _runtime.Time.GetTimestamp();
        var failures = 0;
        var healthySince = Endpoint is null ? (long?)null : began;
        var lastProblem = "";
        while (true)
        {
            var problem = _service.Plan.Kind == ServiceKind.Worker
                ? _runtime.Time.GetElapsedTime(began) > TimeToSettle ? null : "It has just started."
                : await _health.CheckAsync(address, cancellationToken);
            if (machine.Exited.IsCompleted)
            {
                return Sentence(await machine.Exited);
            }

            if (problem is null)
            {
                failures = 0;
                if (Endpoint is null)
                {
                    Endpoint = address;
                    _everHealthy = true;
                    healthySince = _runtime.Time.GetTimestamp();
                    await _runtime.UpdateAsync(Id, row => (row.State, row.Reason, row.HealthyAt) = (InstanceState.Healthy, null, _runtime.Time.GetUtcNow()), cancellationToken);
                    await _runtime.PublishRoutesAsync(_projectId, cancellationToken);
                    Log.Healthy(_runtime.Logger, _project, Service, machine.Id, address);
                }

                if (healthySince is { } since && _restarts > 0 && _runtime.Time.GetElapsedTime(since) > Forgiveness)
                {
                    _restarts = 0;
                }
            }
            else
            {
                lastProblem = problem;
                failures++;
                if (Endpoint is not null && failures >= ChecksToLeave)
                {
                    await LeaveRoutesAsync(cancellationToken);
                    await SetAsync(InstanceState.Unhealthy, problem, cancellationToken);
                }

                if (healthySince is null && _runtime.Time.GetElapsedTime(began) > TimeToBind)
                {
                    return $"It was not healthy within {TimeToBind.TotalSeconds} s: {lastProblem} Listen on 0.0.0.0 and the port in $PORT.";
                }

                if (healthySince is not null && failures >= ChecksToReplace)
                {
                    return $"It failed {failures} health checks in a row: {lastProblem}";
                }
            }

            var pause = healthySince is null ? TimeSpan.FromMilliseconds(150) : failures > 0 ? TimeSpan.FromSeconds(1) : CheckEvery;
            await Task.WhenAny(machine.Exited, Task.Delay(pause, _runtime.Time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>5.</summary>
    private async Task EndAsync()
    {
        try
        {
            await LeaveRoutesAsync(CancellationToken.None);
            if (FindMachine() is { } machine)
            {
                await SetAsync(InstanceState.Stopping, null, CancellationToken.None);
                using var pump = new CancellationTokenSource();
                var pumping = PumpLogAsync(machine, pump.Token);
                await machine.StopAsync(Grace, CancellationToken.None);
                pump.CancelAfter(TimeSpan.FromSeconds(1));
                await pumping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await _runtime.DeleteAsync(Id, CancellationToken.None);
        }
        catch (Exception exception) when (exception is MachineException or NpgsqlException or IOException or InvalidOperationException)
        {
            // The row stays, so the supervisor tries again.
            Log.Unexpected(_runtime.Logger, _project, Service, exception);
        }
    }

    private async Task PumpLogAsync(Machine machine, CancellationToken cancellationToken)
    {
        var position = _runtime.Log.PositionOf(_projectId, machine.Id);
        var lines = new LineAssembler(Service, machine.Id, position, _runtime.Time);
        try
        {
            await foreach (var chunk in machine.ReadOutputAsync(position, cancellationToken))
            {
                if (lines.Add(chunk) is { Count: > 0 } complete)
                {
                    _runtime.Log.Append(_projectId, complete);
                }
            }

            if (lines.Finish() is { Count: > 0 } rest)
            {
                _runtime.Log.Append(_projectId, rest);
            }
        }
        catch (OperationCanceledException)
        {
            // The next reader goes on from what is kept.
        }
        catch (Exception exception) when (exception is MachineException or IOException)
        {
            Log.Unexpected(_runtime.Logger, _project, Service, exception);
        }
    }

    private async Task LeaveRoutesAsync(CancellationToken cancellationToken)
    {
        if (Endpoint is not null)
        {
            Endpoint = null;
            await _runtime.PublishRoutesAsync(_projectId, cancellationToken);
        }
    }

    private Machine? FindMachine()
    {
        var machine = _machineId is null ? null : _runtime.Machines.Find(_machineId);
        machine ??= _runtime.Machines.Machines.FirstOrDefault(m => m.Spec.Labels.GetValueOrDefault(InstanceRuntime.InstanceLabel) == Id.ToString());
        return machine is { State: MachineState.Running or MachineState.Paused } ? machine : null;
    }

    private Task SetAsync(InstanceState state, string? reason, CancellationToken cancellationToken)
        => _runtime.UpdateAsync(Id, row => (row.State, row.Reason) = (state, reason), cancellationToken);

    /// <summary>The last lines of the machine, for the reason of a failed deployment.</summary>
    private string TailOf(string? machine)
    {
        var tail = machine is null ? [] : _runtime.Log.Tail(_projectId, TailLines, line => line.Machine == machine, out _);
        return tail.Count == 0 ? " It wrote nothing." : "\nIts last lines:\n" + string.Join('\n', tail.Select(entry => "  " + entry.Line.Text));
    }

    private static string Sentence(ProcessExit exit) => exit switch
    {
        { ExitCode: { } code } => $"The process ended with exit code {code} instead of serving.",
        { Signal: 9 } => "The process was killed (SIGKILL), most likely because the machine's memory ran out. Choose a larger size.",
        { Signal: { } signal } => $"The process was ended by signal {signal}.",
        _ => $"The machine ended: {exit.Reason}",
    };

    private Uri EndpointOf(System.Net.IPAddress address) => new($"http://{address}:{InstanceRuntime.PortOf(_service.Plan)}/");
}

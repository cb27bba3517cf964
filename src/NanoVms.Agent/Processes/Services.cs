using NanoVms.Agent.Interop;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>The processes that the agent keeps by name: the main one, once a boot, and others as often as they have ended.</summary>
internal sealed class Services(EventLoop loop, Reaper reaper)
{
    private readonly Dictionary<string, Service> _others = [];

    /// <summary>Before its start too, as it can be read from then.</summary>
    public Service Main { get; } = new(Wire.MainService, Wire.RingBytes, loop, reaper);

    public void Start(string name, ProcessSpec spec)
    {
        if (name == Wire.MainService)
        {
            if (Main.State != MainState.NotStarted)
                throw new AgentFailure("the main process was started already; a machine has one");
            Main.Start(spec);
            return;
        }

        if (!IsName(name))
            throw new AgentFailure($"a service's name is 1 to {Wire.MaxServiceName} of a-z 0-9 -");
        if (_others.TryGetValue(name, out var earlier) && earlier.State == MainState.Running)
            throw new AgentFailure($"the service {name} runs already");
        if (earlier is null && _others.Count >= Wire.MaxServices - 1)
            throw new AgentFailure($"there are {Wire.MaxServices} services, no more are possible");
        var service = new Service(name, Wire.ServiceRingBytes, loop, reaper);
        service.Start(spec);
        _others[name] = service;
    }

    /// <summary>Starts a service in place of one of its name, whether or not that runs.</summary>
    public Service Restart(string name, ProcessSpec spec)
    {
        if (_others.Remove(name, out var earlier))
            earlier.Signal(Libc.SIGKILL);
        var service = new Service(name, Wire.ServiceRingBytes, loop, reaper);
        service.Start(spec);
        return _others[name] = service;
    }

    public Service Find(string name)
    {
        if (name == Wire.MainService)
            return Main;
        return _others.TryGetValue(name, out var service)
            ? service
            : throw new AgentFailure($"there is no service of that name; there are: {string.Join(", ", [Wire.MainService, .. _others.Keys])}");
    }

    public List<ServiceInfo> List()
    {
        var list = new List<ServiceInfo>();
        if (Main.State != MainState.NotStarted)
            list.Add(Main.Info);
        foreach (var service in _others.Values)
            list.Add(service.Info);
        return list;
    }

    private static bool IsName(string name)
    {
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-')
                return false;
        }

        return name.Length is > 0 and <= Wire.MaxServiceName;
    }
}

namespace NanoVms.Agent;

/// <summary>Values are on the wire: they are never renumbered.</summary>
public enum MainState
{
    NotStarted = 0,
    Running = 1,
    Exited = 2,
}

namespace NanoVms.Agent.Protocol;

/// <summary>Values are on the wire: they are never renumbered. Below 128 the host speaks, from 128 on the agent.</summary>
internal enum FrameType : byte
{
    None = 0,
    Hello = 1,
    Configure = 2,
    StartMain = 3,
    SignalMain = 4,
    ReadMain = 5,
    Run = 6,
    Credit = 7,
    Cancel = 8,
    Stats = 9,
    Synchronize = 10,
    Shutdown = 11,
    Freeze = 12,
    Thaw = 13,

    HelloAck = 128,
    Done = 129,
    Failed = 130,
    Output = 131,
    Exited = 132,
    End = 133,
    StatsReply = 134,
    MainExited = 135,
}

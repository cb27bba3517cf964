namespace NanoVms.Agent.Protocol;

/// <summary>Numbers that both ends agree on.</summary>
internal static class Wire
{
    /// <summary>Both ends of a connection use the highest that both know; a machine keeps its agent when the host is upgraded.</summary>
    public const ushort MinVersion = 1;
    public const ushort MaxVersion = 2;

    public const int TokenLength = 16;

    /// <summary>The most bytes of a host's message, all its frames together.</summary>
    public const int MaxMessage = 4 * 1024 * 1024;

    /// <summary>What an output frame costs beside its data, so that many tiny frames run out of credit too.</summary>
    public const int OutputCost = 64;

    /// <summary>The most data bytes of an output frame.</summary>
    public const int MaxOutput = 32 * 1024;

    /// <summary>The most requests that may be open at once in a connection.</summary>
    public const int MaxStreams = 256;

    /// <summary>How much of the main process's output the agent keeps, in bytes.</summary>
    public const int RingBytes = 1024 * 1024;

    /// <summary>The same of every other service.</summary>
    public const int ServiceRingBytes = 128 * 1024;

    /// <summary>How much input may be on its way to a process; a frame of it costs what a frame of output does.</summary>
    public const int InputWindow = 128 * 1024;

    /// <summary>The most data bytes of an input frame.</summary>
    public const int MaxInput = 32 * 1024;

    /// <summary>The service that the machine is for.</summary>
    public const string MainService = "main";

    public const int MaxServices = 64;
    public const int MaxServiceName = 32;

    public const int MaxHooks = 16;

    /// <summary>The most kinds of limits that Linux knows.</summary>
    public const int MaxLimits = 16;

    /// <summary>The most names of other machines that a guest is told.</summary>
    public const int MaxNames = 2000;

    /// <summary>The most network cards of a guest.</summary>
    public const int MaxCards = 8;

    public const int MinSeed = 16;
    public const int MaxSeed = 512;
}

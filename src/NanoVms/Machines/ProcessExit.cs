namespace NanoVms.Machines;

/// <summary>How a guest process ended.</summary>
/// <param name="ExitCode">0 to 255, or null when it did not exit by itself.</param>
/// <param name="Signal">The signal that ended it, or null.</param>
/// <param name="Reason">One sentence for people; when code and signal are both null the machine itself ended and this says why.</param>
public sealed record ProcessExit(int? ExitCode, int? Signal, string Reason);

namespace NanoVms.Tests.Agent;

internal static class Cancel
{
    /// <summary>No test waits for ever.</summary>
    public static CancellationToken After(double seconds) => new CancellationTokenSource(TimeSpan.FromSeconds(seconds)).Token;
}

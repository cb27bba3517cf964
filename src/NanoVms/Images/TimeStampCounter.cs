namespace NanoVms.Images;

/// <summary>The processor's time stamp counter, whose rate a guest cannot measure without a reference clock.</summary>
public static class TimeStampCounter
{
    /// <summary>Its rate on this host in kHz, measured once in a process (about 50 ms).</summary>
    public static long GetKilohertz() => throw new NotSupportedException();
}

namespace NanoVms.Drivers;

/// <summary>A hypervisor refused an order, broke its protocol, was silent, or is gone.</summary>
internal class HypervisorException : Exception
{
    public HypervisorException(string message)
        : base(message)
    {
    }

    public HypervisorException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public HypervisorException()
    {
    }
}

namespace NanoVms.Drivers.Qemu;

/// <summary>QEMU's monitor refused a command, broke its protocol, was silent, or is gone.</summary>
internal sealed class QmpException : HypervisorException
{
    public QmpException(string message)
        : base(message)
    {
    }

    public QmpException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public QmpException()
    {
    }
}

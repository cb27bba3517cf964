namespace NanoVms.Drivers.Rest;

/// <summary>A hypervisor's HTTP interface refused a request, answered nonsense, was silent, or is gone.</summary>
internal sealed class RestException : HypervisorException
{
    public RestException(string message)
        : base(message)
    {
    }

    public RestException(string message, Exception? inner)
        : base(message, inner)
    {
    }

    public RestException()
    {
    }

    /// <summary>The status of a refusal; null when no whole answer came.</summary>
    public int? Status { get; init; }

    /// <summary>What the hypervisor gave as its reason, without control characters; empty when it gave none.</summary>
    public string Fault { get; init; } = "";
}

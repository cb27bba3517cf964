namespace BytePort.Bench.Machines;

/// <param name="Time">From the order to the point in question.</param>
/// <param name="Processor">Processor time of the hypervisor until then: what a busy computer does not change.</param>
internal sealed record Boot(TimeSpan Time, TimeSpan Processor);

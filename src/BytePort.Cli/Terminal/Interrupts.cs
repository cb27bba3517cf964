using System.Runtime.InteropServices;

namespace BytePort.Cli.Terminal;

/// <summary>Ctrl-C and SIGTERM: the first asks a command to end what it does in an orderly way, the second to leave at once.</summary>
internal sealed class Interrupts : IDisposable
{
    private readonly CancellationTokenSource _first = new();
    private readonly CancellationTokenSource _second = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _count;

    public CancellationToken First => _first.Token;

    public CancellationToken Second => _second.Token;

    /// <summary>Takes the signals over from the runtime, which would end the process.</summary>
    public void Listen()
    {
        foreach (var signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM])
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                Raise();
            }));
        }
    }

    public void Raise()
    {
        if (Interlocked.Increment(ref _count) == 1)
            _first.Cancel();
        else
            _second.Cancel();
    }

    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _first.Dispose();
        _second.Dispose();
    }
}

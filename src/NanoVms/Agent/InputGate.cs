using NanoVms.Agent.Protocol;

namespace NanoVms.Agent;

/// <summary>How much input the guest still takes on a stream. Who writes more than that waits.</summary>
internal sealed class InputGate
{
    private readonly Lock _gate = new();
    private TaskCompletionSource _more = New();
    private long _credit;
    private bool _closed;

    /// <summary>Called by the reader of frames.</summary>
    /// <exception cref="ProtocolException">The guest allows more than can ever be on the way.</exception>
    public void Grant(uint credit)
    {
        lock (_gate)
        {
            _credit += credit;
            if (_credit > Wire.InputWindow)
                throw new ProtocolException($"the guest takes {_credit} bytes of input at once, where {Wire.InputWindow} are agreed");
            _more.TrySetResult();
            _more = New();
        }
    }

    /// <summary>Nothing more is taken: whoever waits learns so.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            _more.TrySetResult();
        }
    }

    /// <returns>How many bytes may be sent now, as one frame; 0 when nothing is taken any more.</returns>
    public async Task<int> TakeAsync(int wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task more;
            lock (_gate)
            {
                if (_closed)
                    return 0;
                var count = (int)Math.Min(Math.Min(wanted, Wire.MaxInput), _credit - Wire.OutputCost);
                if (count > 0)
                {
                    _credit -= count + Wire.OutputCost;
                    return count;
                }

                more = _more.Task;
            }

            await more.WaitAsync(cancellationToken);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

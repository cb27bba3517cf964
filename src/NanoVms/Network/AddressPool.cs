namespace NanoVms.Network;

/// <summary>
/// Hands out places in a prefix. An address that was given back is the last to be taken again, so that connections
/// to the machine before do not reach the one after. Thread safe.
/// </summary>
internal sealed class AddressPool(long count)
{
    // 0 is the network, 1 the bridge, the last one broadcast.
    private const int First = 2;
    private readonly Lock _gate = new();
    private readonly HashSet<int> _taken = [];
    private readonly int _end = (int)Math.Min(count - 1, int.MaxValue);
    private int _next = First;

    public bool IsUsed
    {
        get
        {
            lock (_gate)
                return _taken.Count > 0;
        }
    }

    /// <summary>Null when every place is taken.</summary>
    public int? Take()
    {
        lock (_gate)
        {
            for (var tried = First; tried < _end; tried++)
            {
                var index = _next;
                _next = _next + 1 < _end ? _next + 1 : First;
                if (_taken.Add(index))
                    return index;
            }

            return null;
        }
    }

    /// <summary>Takes a known place; false when it is taken or no guest's.</summary>
    public bool TryTake(int index)
    {
        lock (_gate)
        {
            if (index < First || index >= _end || !_taken.Add(index))
                return false;
            _next = Math.Max(_next, index + 1 < _end ? index + 1 : First);
            return true;
        }
    }

    public void Release(int index)
    {
        lock (_gate)
            _ = _taken.Remove(index);
    }
}

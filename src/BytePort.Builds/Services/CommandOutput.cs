using BytePort.Builds.Logs;
using NanoVms.Commands;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>Turns a guest process's output into lines of the log, and keeps the last ones for the reason of a failure.</summary>
internal sealed class CommandOutput
{
    private const int Kept = 20;

    private readonly Queue<string> _last = new();
    private readonly LineSplitter _output;
    private readonly LineSplitter _error;

    public CommandOutput(BuildLog log)
    {
        _output = new LineSplitter(line => Add(line, isError: false));
        _error = new LineSplitter(line => Add(line, isError: true));

        void Add(string line, bool isError)
        {
            // Progress bars blank their line before they rewrite it.
            if (string.IsNullOrWhiteSpace(line))
                return;
            log.WriteOutput(line, isError);
            _last.Enqueue(line);
            if (_last.Count > Kept)
                _last.Dequeue();
        }
    }

    public IReadOnlyCollection<string> LastLines => _last;

    public void Append(OutputChunk chunk) => (chunk.IsError ? _error : _output).Append(chunk.Data.Span);

    public void Complete()
    {
        _output.Complete();
        _error.Complete();
    }
}

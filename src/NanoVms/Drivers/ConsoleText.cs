using NanoVms.Commands;

namespace NanoVms.Drivers;

/// <summary>The end of what a guest wrote to its console, at most 64 KiB, thread safe.</summary>
internal sealed class ConsoleText
{
    private const int Kept = 64 * 1024;
    private const int Lines = 40;
    private readonly BoundedText _text = new(Kept, keepTail: true);

    public void Append(ReadOnlySpan<byte> data)
    {
        lock (_text)
            _text.Append(data);
    }

    /// <summary>The last lines without control characters: the guest writes what it likes.</summary>
    public string Tail()
    {
        string text;
        lock (_text)
            text = _text.ToString();
        return Tail(text);
    }

    internal static string Tail(string text)
    {
        var lines = text
            .Split('\n')
            .Select(line => string.Concat(line.Where(c => !char.IsControl(c) || c == '\t')).TrimEnd())
            .Where(line => line.Length > 0);
        return string.Join('\n', lines.TakeLast(Lines));
    }
}

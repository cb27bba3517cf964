using System.Globalization;
using System.Text;
using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Machines;

/// <summary>Shows a machine's console line by line on standard output. The guest writes what it likes, so nothing but text gets through.</summary>
internal sealed class ConsolePrinter(CliHost host, bool json)
{
    /// <summary>A guest that never ends its line does not fill this program.</summary>
    private const int MaxLine = 16 * 1024;

    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder _line = new();

    /// <summary>Where the next piece begins, when nothing is missing.</summary>
    public long Next { get; private set; }

    public void Show(string data)
    {
        if (JsonSerializer.Deserialize(data, ApiJson.Default.ConsolePiece) is { } piece)
            Show(piece);
    }

    public void Show(ConsolePiece piece)
    {
        if (json)
        {
            Next = piece.Next;
            host.Json(piece, ApiJson.Default.ConsolePiece);
            return;
        }

        if (piece.Offset > Next)
        {
            Finish();
            host.Note(string.Create(CultureInfo.InvariantCulture, $"byteport: {piece.Offset - Next} bytes of the console were not kept."));
        }

        Next = piece.Next;
        var text = new char[_decoder.GetCharCount(piece.Data, flush: false)];
        var count = _decoder.GetChars(piece.Data, text, flush: false);
        foreach (var c in text.AsSpan(0, count))
        {
            if (c == '\n' || _line.Length >= MaxLine)
                Finish();
            if (c != '\n')
                _ = _line.Append(c);
        }

        host.Out.Flush();
    }

    /// <summary>Shows the line that has begun.</summary>
    public void Finish()
    {
        if (_line.Length == 0)
            return;
        host.Out.WriteLine(PlainText.Clean(_line.ToString(), host.Colors).TrimEnd());
        _ = _line.Clear();
    }
}

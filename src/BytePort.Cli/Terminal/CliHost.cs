using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Spectre.Console;

namespace BytePort.Cli.Terminal;

/// <summary>Everything that a command takes from the process around it, so that a test can give it something else.</summary>
internal sealed class CliHost
{
    // Quotes and letters stay readable; nothing is ever put into HTML.
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public required TextWriter Out { get; init; }
    public required TextWriter Error { get; init; }

    /// <summary>Standard input, opened only by a command that reads it: opening it changes the terminal's modes.</summary>
    public required Func<TextReader> In { get; init; }

    /// <summary>True: somebody can be asked, and may like colours and progress bars.</summary>
    public required bool IsTerminal { get; init; }

    public required Func<string, string?> Variable { get; init; }
    public required string Folder { get; init; }
    public required TimeProvider Time { get; init; }
    public required Interrupts Interrupts { get; init; }

    /// <summary>Standard input, output and error as bytes, for what another computer's process reads and writes.</summary>
    public Func<Stream> OpenInput { get; init; } = Console.OpenStandardInput;

    public Func<Stream> OpenOutput { get; init; } = Console.OpenStandardOutput;

    public Func<Stream> OpenError { get; init; } = Console.OpenStandardError;

    public bool Colors => IsTerminal && string.IsNullOrEmpty(Variable("NO_COLOR")) && Variable("TERM") != "dumb";

    /// <summary>A line of the result, on standard output.</summary>
    public void Result(string line) => Out.WriteLine(PlainText.Clean(line));

    /// <summary>One or more lines about what happens, on standard error.</summary>
    public void Note(string text)
    {
        foreach (var line in text.Split('\n'))
            Error.WriteLine(PlainText.Clean(line, Colors));
    }

    /// <summary>The result as JSON on one line.</summary>
    public void Json<T>(T value, JsonTypeInfo<T> type)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text, JsonOptions))
            JsonSerializer.Serialize(writer, value, type);
        Out.WriteLine(Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length));
    }

    /// <summary>Rows under a heading; the first column is what people copy, the last one may be long and wraps.</summary>
    public void Table(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        var table = new Table { Border = TableBorder.None, ShowHeaders = true };
        for (var i = 0; i < headings.Count; i++)
        {
            table.AddColumn(new TableColumn(new Text(headings[i], new Style(decoration: Decoration.Dim)))
            {
                // With none that wraps, a long text would squeeze all to a letter's width.
                NoWrap = i < headings.Count - 1,
                Padding = new Padding(0, 0, 3, 0),
            });
        }

        foreach (var row in rows)
            table.AddRow(row.Select(cell => new Text(PlainText.Clean(cell))));
        CreateConsole(Out).Write(table);
    }

    /// <summary>A console over standard error, for progress and questions.</summary>
    public IAnsiConsole ErrorConsole => CreateConsole(Error);

    private IAnsiConsole CreateConsole(TextWriter writer)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = Colors ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = IsTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!IsTerminal)
            console.Profile.Width = 400;
        return console;
    }
}

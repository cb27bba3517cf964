using System.Text.Json;
using System.Text.Json.Serialization;

namespace BytePort.Server.Logs;

/// <summary>One line that a service wrote, as kept on disk.</summary>
/// <param name="Position">How far into the machine's output the line reaches, in bytes.</param>
internal sealed record RuntimeLine(
    [property: JsonPropertyName("t")] DateTimeOffset Time,
    [property: JsonPropertyName("v")] string Service,
    [property: JsonPropertyName("m")] string Machine,
    [property: JsonPropertyName("p")] long Position,
    [property: JsonPropertyName("s")] string Stream,
    [property: JsonPropertyName("x")] string Text)
{
    public static readonly JsonSerializerOptions Json = new();
}

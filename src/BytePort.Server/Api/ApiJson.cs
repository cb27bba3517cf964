using System.Text.Json;
using System.Text.Json.Serialization;

namespace BytePort.Server.Api;

internal static class ApiJson
{
    /// <summary>Enums are lower-case words on the wire, as in the database.</summary>
    public static readonly JsonConverter Enums = new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false);

    public static void Configure(JsonSerializerOptions options) => options.Converters.Add(Enums);
}

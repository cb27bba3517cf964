using BytePort.Manifest.Shapes;

namespace BytePort.Manifest;

/// <summary>The manifest's description as JSON Schema (draft 2020-12), for editors.</summary>
public static class ManifestSchema
{
    private static readonly System.Text.Json.JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The schema as text, the same at every call, with a line feed at its end.</summary>
    public static string ToJson()
    {
        var schema = ManifestShape.Root.ToSchema();
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.Insert(1, "title", "byteport.yaml");
        schema.Insert(2, "description", "What a BytePort project is made of. Everything is optional: detection fills the gaps.");
        return schema.ToJsonString(Options) + "\n";
    }
}

using System.Globalization;
using System.Text.Json;
using YamlDotNet.RepresentationModel;

namespace NanoVms.Tests.Drivers.OpenApi;

/// <summary>
/// A hypervisor's own description of its interface, Swagger 2 or OpenAPI 3: says what is wrong with a request or an answer. Members
/// that a schema does not name are refused, as the hypervisors do.
/// </summary>
internal sealed class OpenApiDocument
{
    private readonly YamlMappingNode _root;
    private readonly bool _isSwagger;

    private OpenApiDocument(YamlMappingNode root)
    {
        _root = root;
        _isSwagger = Find(root, "swagger") is not null;
    }

    /// <summary>Reads a copy beside the tests' program.</summary>
    public static OpenApiDocument Load(string file)
    {
        using var reader = new StreamReader(Path.Combine(AppContext.BaseDirectory, "Drivers", file));
        var stream = new YamlStream();
        stream.Load(reader);
        return new OpenApiDocument((YamlMappingNode)stream.Documents[0].RootNode);
    }

    /// <summary>The operation's own description: its path with names in braces.</summary>
    public OpenApiOperation? Find(string method, string path)
    {
        foreach (var (template, item) in (YamlMappingNode)_root["paths"])
        {
            if (Match(((YamlScalarNode)template).Value!, path) && Find((YamlMappingNode)item, method.ToLowerInvariant()) is YamlMappingNode operation)
                return new OpenApiOperation(((YamlScalarNode)template).Value!, operation);
        }

        return null;
    }

    /// <summary>Null when the body is as described.</summary>
    public string? FindRequestError(OpenApiOperation operation, JsonElement? body)
    {
        var (schema, required) = RequestSchema(operation.Node);
        return (schema, body) switch
        {
            (null, null) => null,
            (null, not null) => "no body is expected",
            (_, null) => required ? "a body is required" : null,
            _ => FindError(schema, body.Value, "body"),
        };
    }

    /// <summary>Null when the status is described and the body is as described for it.</summary>
    public string? FindResponseError(OpenApiOperation operation, int status, JsonElement? body)
    {
        var responses = (YamlMappingNode)operation.Node["responses"];
        var response = Find(responses, status.ToString(CultureInfo.InvariantCulture)) ?? Find(responses, "default");
        if (response is not YamlMappingNode described)
        {
            // Cloud Hypervisor's document leaves most refusals out, and the bodies of all.
            return status >= 400 && !_isSwagger ? null : $"status {status} is not described";
        }

        return (ContentSchema(described), body) switch
        {
            (null, null) => null,
            (null, not null) => status >= 400 && !_isSwagger ? null : "no body is described",
            (_, null) => "a body is described",
            ({ } schema, _) => FindError(schema, body.Value, "body"),
        };
    }

    private string? FindError(YamlNode node, JsonElement value, string at)
    {
        var schema = Resolve((YamlMappingNode)node);
        var type = Text(schema, "type") ?? (Find(schema, "properties") is null ? null : "object");
        var error = type switch
        {
            "object" => FindObjectError(schema, value, at),
            "array" => FindArrayError(schema, value, at),
            "string" => value.ValueKind == JsonValueKind.String ? null : $"{at} is no string",
            "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? null : $"{at} is no boolean",
            "integer" => FindIntegerError(schema, value, at),
            _ => $"{at} is of the unknown type '{type}'",
        };
        if (error is null && Find(schema, "enum") is YamlSequenceNode choices && !choices.Any(c => ((YamlScalarNode)c).Value == value.ToString()))
            error = $"{at} is '{value}', none of {string.Join(", ", choices)}";
        return error;
    }

    private string? FindObjectError(YamlMappingNode schema, JsonElement value, string at)
    {
        if (value.ValueKind != JsonValueKind.Object)
            return $"{at} is no object";
        foreach (var required in Find(schema, "required") as YamlSequenceNode ?? [])
        {
            if (!value.TryGetProperty(((YamlScalarNode)required).Value!, out _))
                return $"{at} has no '{required}'";
        }

        var properties = Find(schema, "properties") as YamlMappingNode ?? [];
        var others = Find(schema, "additionalProperties");
        foreach (var member in value.EnumerateObject())
        {
            var error = (Find(properties, member.Name), others) switch
            {
                ({ } known, _) => FindError(known, member.Value, $"{at}.{member.Name}"),
                (null, YamlMappingNode any) => FindError(any, member.Value, $"{at}.{member.Name}"),
                (null, YamlScalarNode { Value: "true" }) => null,
                _ => $"{at} has a member '{member.Name}' that is not known",
            };
            if (error is not null)
                return error;
        }

        return null;
    }

    private string? FindArrayError(YamlMappingNode schema, JsonElement value, string at)
    {
        if (value.ValueKind != JsonValueKind.Array)
            return $"{at} is no array";
        return value.EnumerateArray().Select((item, i) => FindError(schema["items"], item, $"{at}[{i}]")).FirstOrDefault(error => error is not null);
    }

    private static string? FindIntegerError(YamlMappingNode schema, JsonElement value, string at)
    {
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out var number))
            return $"{at} is no integer";
        var (least, most) = Text(schema, "format") switch
        {
            "uint8" => (0, byte.MaxValue),
            "int16" => (short.MinValue, short.MaxValue),
            "uint16" => (0, ushort.MaxValue),
            "int32" => (int.MinValue, int.MaxValue),
            "uint32" => (0, uint.MaxValue),
            _ => (long.MinValue, long.MaxValue),
        };
        least = Math.Max(least, long.Parse(Text(schema, "minimum") ?? $"{least}", CultureInfo.InvariantCulture));
        most = Math.Min(most, long.Parse(Text(schema, "maximum") ?? $"{most}", CultureInfo.InvariantCulture));
        return number < least || number > most ? $"{at} is {number}, not {least} to {most}" : null;
    }

    private (YamlNode? Schema, bool Required) RequestSchema(YamlMappingNode operation)
    {
        if (!_isSwagger)
            return Find(operation, "requestBody") is YamlMappingNode described ? (ContentSchema(described), Text(described, "required") == "true") : (null, false);
        var body = (Find(operation, "parameters") as YamlSequenceNode ?? []).OfType<YamlMappingNode>().FirstOrDefault(p => Text(p, "in") == "body");
        return body is null ? (null, false) : (body["schema"], Text(body, "required") == "true");
    }

    private YamlNode? ContentSchema(YamlMappingNode node) => _isSwagger
        ? Find(node, "schema")
        : Find(node, "content") is YamlMappingNode content ? content["application/json"]["schema"] : null;

    private YamlMappingNode Resolve(YamlMappingNode schema)
    {
        while (Text(schema, "$ref") is { } reference)
            schema = (YamlMappingNode)reference.Split('/').Skip(1).Aggregate((YamlNode)_root, (node, name) => node[name]);
        return schema;
    }

    private static bool Match(string template, string path)
    {
        var (expected, given) = (template.Split('/'), path.Split('/'));
        return expected.Length == given.Length && expected.Zip(given).All(pair => pair.First == pair.Second || (pair.First.StartsWith('{') && pair.Second.Length > 0));
    }

    private static YamlNode? Find(YamlMappingNode node, string name) =>
        node.Children.TryGetValue(new YamlScalarNode(name), out var found) ? found : null;

    private static string? Text(YamlMappingNode node, string name) => (Find(node, name) as YamlScalarNode)?.Value;
}

/// <param name="Template">For example <c>/drives/{drive_id}</c>.</param>
internal sealed record OpenApiOperation(string Template, YamlMappingNode Node);

using System.Globalization;
using System.Text.Json.Nodes;
using BytePort.Manifest.Toml;

namespace BytePort.Manifest.Tests.Toml;

/// <summary>
/// The cases of toml-test (github.com/toml-lang/toml-test, its licence lies beside them): each valid document is what the JSON beside it
/// says, each invalid one is refused.
/// </summary>
public sealed class TomlSuiteTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "BytePort.Manifest.Tests", "Toml", "Cases");

    [Fact]
    public void Read_EveryValidCase_IsAsTheJsonSays()
    {
        var cases = List("valid");
        Assert.True(cases.Count > 100, $"Only {cases.Count} valid cases were found.");
        var wrong = cases.Select(path => (Name: Name(path), Difference: Compare(path))).Where(result => result.Difference is not null);
        Assert.Empty(wrong);
    }

    [Fact]
    public void Read_EveryInvalidCase_IsRefusedWithItsPlace()
    {
        var cases = List("invalid");
        Assert.True(cases.Count > 300, $"Only {cases.Count} invalid cases were found.");
        var accepted = new List<string>();
        foreach (var path in cases)
        {
            var bytes = File.ReadAllBytes(path);
            try
            {
                _ = TomlReader.Read(bytes);
                accepted.Add(Name(path));
            }
            catch (TomlException e)
            {
                // A place is in the text or right behind it.
                var lines = bytes.Count(each => each == '\n') + 1;
                Assert.InRange(e.Location.Line, 1, lines);
                Assert.InRange(e.Location.Column, 1, bytes.Length + 1);
                Assert.Matches("^[^\0-\x1f\x7f]+[.]$", e.Message);
            }
        }

        Assert.Empty(accepted);
    }

    private static List<string> List(string kind) =>
        [.. Directory.EnumerateFiles(Path.Combine(Folder, kind), "*.toml", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private static string Name(string path) => Path.GetRelativePath(Folder, path);

    private static string? Compare(string path)
    {
        var expected = JsonNode.Parse(File.ReadAllText(Path.ChangeExtension(path, ".json")));
        TomlTable actual;
        try
        {
            actual = TomlReader.Read(File.ReadAllBytes(path));
        }
        catch (TomlException e)
        {
            return $"{e.Location}: {e.Message}";
        }

        return JsonNode.DeepEquals(Normalize(expected!), Normalize(Tag(actual))) ? null : $"{Tag(actual)} should be {expected}";
    }

    private static JsonNode Tag(TomlValue value) => value switch
    {
        TomlTable table => new JsonObject(table.Entries.Select(entry => KeyValuePair.Create<string, JsonNode?>(entry.Key, Tag(entry.Value.Value)))),
        TomlArray array => new JsonArray([.. array.Items.Select(Tag)]),
        TomlString text => Leaf("string", text.Text),
        TomlInteger number => Leaf("integer", number.Number.ToString(CultureInfo.InvariantCulture)),
        TomlFloat number => Leaf("float", number.Number.ToString("R", CultureInfo.InvariantCulture)),
        TomlBoolean flag => Leaf("bool", flag.Flag ? "true" : "false"),
        TomlDateTime { Date: not null, Time: not null, OffsetMinutes: null } both => Leaf("datetime-local", Text(both)),
        TomlDateTime { Date: not null, Time: not null } both => Leaf("datetime", Text(both)),
        TomlDateTime { Date: not null } day => Leaf("date-local", Text(day)),
        TomlDateTime time => Leaf("time-local", Text(time)),
        _ => throw new InvalidOperationException(value.ToString()),
    };

    private static JsonObject Leaf(string type, string value) => new() { ["type"] = type, ["value"] = value };

    private static string Text(TomlDateTime value)
    {
        var date = value.Date is { } day ? $"{day.Year:0000}-{day.Month:00}-{day.Day:00}" : "";
        var time = value.Time is { } clock ? $"{clock.Hour:00}:{clock.Minute:00}:{clock.Second:00}.{clock.Nanosecond:000000000}" : "";
        var offset = value.OffsetMinutes is { } minutes ? $"{(minutes < 0 ? '-' : '+')}{Math.Abs(minutes) / 60:00}:{Math.Abs(minutes) % 60:00}" : "";
        return $"{date}{(date.Length > 0 && time.Length > 0 ? "T" : "")}{time}{offset}";
    }

    /// <summary>One spelling for equal numbers and times, so that only a difference of value counts.</summary>
    private static JsonNode Normalize(JsonNode node)
    {
        switch (node)
        {
            case JsonArray array:
                return new JsonArray([.. array.Select(item => Normalize(item!))]);
            case JsonObject leaf when leaf.Count == 2 && leaf["type"] is JsonValue && leaf["value"] is JsonValue:
                var (type, value) = ((string)leaf["type"]!, (string)leaf["value"]!);
                return Leaf(type, type switch
                {
                    "float" => Bits(value),
                    "datetime" or "datetime-local" or "time-local" => NormalizeTime(value),
                    _ => value,
                });
            default:
                return new JsonObject(node.AsObject().Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, Normalize(pair.Value!))));
        }
    }

    private static string Bits(string text) => text.TrimStart('+').ToLowerInvariant() switch
    {
        "nan" => "nan",
        "inf" or "infinity" => "inf",
        "-inf" or "-infinity" => "-inf",
        var number => BitConverter.DoubleToInt64Bits(double.Parse(number, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture),
    };

    private static string NormalizeTime(string text)
    {
        text = text.Replace("Z", "+00:00", StringComparison.OrdinalIgnoreCase);
        var seconds = text.IndexOf(':', StringComparison.Ordinal) + 6;
        var end = text.IndexOfAny(['+', '-'], seconds);
        end = end < 0 ? text.Length : end;
        var fraction = text[seconds..end].Trim('.').TrimEnd('0');
        return $"{text[..seconds]}.{fraction}{text[end..]}";
    }
}

using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace NanoVms.Images.Stacks;

/// <summary>A map of a recipe: typed answers, and an error with its line for whatever is not as it must be.</summary>
internal sealed class RecipeMap
{
    private const int MaxItems = 500;

    private readonly YamlMappingNode _map;
    private readonly string _path;
    private readonly Action<long, string> _fail;
    private readonly Dictionary<string, YamlNode> _values = [];

    /// <param name="path">What leads to the map, ending with a dot; empty for the file itself.</param>
    /// <param name="known">Every other key is an error.</param>
    public RecipeMap(YamlMappingNode map, string path, IReadOnlyCollection<string> known, Action<long, string> fail)
    {
        (_map, _path, _fail) = (map, path, fail);
        foreach (var (key, value) in map.Children)
        {
            if (key is YamlScalarNode { Value: { } name } && known.Contains(name))
                _values[name] = value;
            else
                fail(key.Start.Line, $"{path}{(key as YamlScalarNode)?.Value ?? "a key"} is not known here; known are {string.Join(", ", known)}.");
        }
    }

    public bool Has(string key) => _values.ContainsKey(key);

    /// <param name="key">Null for the map itself.</param>
    public void Fail(string? key, string text)
    {
        var line = key is not null && _values.TryGetValue(key, out var value) ? value.Start.Line : _map.Start.Line;
        _fail(line, key is null ? text : $"{_path}{key} {text}");
    }

    public string? Text(string key)
    {
        if (!_values.TryGetValue(key, out var value))
            return null;
        if (value is YamlScalarNode { Value: { } text })
            return text;
        Fail(key, "must be a text.");
        return null;
    }

    public string? Match(string key, Regex form, string wanted, bool required = false)
    {
        if (!Has(key))
        {
            if (required)
                Fail(null, $"'{_path}{key}' is missing: {wanted}.");
            return null;
        }

        if (Text(key) is not { } text)
            return null;
        if (form.IsMatch(text))
            return text;
        Fail(key, $"is '{Short(text)}', which is not {wanted}.");
        return null;
    }

    public RecipeMap? Map(string key, IReadOnlyCollection<string> known)
    {
        if (!_values.TryGetValue(key, out var value))
            return null;
        if (value is YamlMappingNode map)
            return new RecipeMap(map, $"{_path}{key}.", known, _fail);
        Fail(key, "must be a map.");
        return null;
    }

    public IEnumerable<RecipeMap> Maps(string key, IReadOnlyCollection<string> known)
    {
        var index = 0;
        foreach (var item in Items(key, "a list of maps"))
        {
            if (item is YamlMappingNode map)
                yield return new RecipeMap(map, $"{_path}{key}[{index}].", known, _fail);
            else
                _fail(item.Start.Line, $"{_path}{key}[{index}] must be a map.");
            index++;
        }
    }

    public List<string> List(string key, Regex form, string wanted)
    {
        var found = new List<string>();
        foreach (var item in Items(key, "a list"))
        {
            if (item is YamlScalarNode { Value: { } text } && form.IsMatch(text))
                found.Add(text);
            else
                _fail(item.Start.Line, $"{_path}{key}[{found.Count}] is '{Short((item as YamlScalarNode)?.Value ?? "")}', which is not {wanted}.");
        }

        return found;
    }

    public IEnumerable<IReadOnlyList<string>> Lists(string key, string wanted)
    {
        foreach (var item in Items(key, wanted))
        {
            if (item is YamlSequenceNode { Children: { Count: > 0 and <= MaxItems } parts } && parts.All(part => part is YamlScalarNode { Value: { } text } && !text.Contains('\0', StringComparison.Ordinal)))
                yield return [.. parts.Select(part => ((YamlScalarNode)part).Value!)];
            else
                _fail(item.Start.Line, $"{_path}{key} must be {wanted}.");
        }
    }

    /// <summary>Sorted, so that their order in the file says nothing.</summary>
    public SortedDictionary<string, string> Pairs(string key, Regex name, Regex value)
    {
        var found = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (!_values.TryGetValue(key, out var node))
            return found;
        if (node is not YamlMappingNode { Children.Count: <= MaxItems } map)
        {
            Fail(key, $"must be a map of at most {MaxItems} names and texts.");
            return found;
        }

        foreach (var (left, right) in map.Children)
        {
            var (leftText, rightText) = ((left as YamlScalarNode)?.Value ?? "", (right as YamlScalarNode)?.Value);
            if (!name.IsMatch(leftText))
                _fail(left.Start.Line, $"{_path}{key} has the name '{Short(leftText)}', which is malformed.");
            else if (rightText is null || !value.IsMatch(rightText))
                _fail(right.Start.Line, $"{_path}{key}.{leftText} has a value that is malformed; it must be a text.");
            else
                found[leftText] = rightText;
        }

        return found;
    }

    private IList<YamlNode> Items(string key, string wanted)
    {
        if (!_values.TryGetValue(key, out var value))
            return [];
        if (value is YamlSequenceNode { Children: { Count: <= MaxItems } items })
            return items;
        Fail(key, $"must be {wanted}, of at most {MaxItems} items.");
        return [];
    }

    private static string Short(string text) => text.Length <= 60 ? text : text[..60] + "…";
}

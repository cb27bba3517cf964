using BytePort.Manifest.Shapes;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace BytePort.Manifest.Yaml;

/// <summary>Turns text into nodes with places, on YamlDotNet's events: no reflection, nothing is instantiated by name.</summary>
/// <remarks>
/// Aliases share the node that they name, and every use counts its nodes again, so a "billion laughs" file is refused after
/// <see cref="MaxNodes"/> nodes whatever it looks like.
/// </remarks>
internal sealed class YamlReader
{
    private const int MaxDepth = 16;
    private const int MaxNodes = 20_000;

    private readonly IParser _parser;
    private readonly ErrorList _errors;
    private readonly Dictionary<string, (YamlNode Node, int Count)> _anchors = [];
    private int _nodes;

    private YamlReader(IParser parser, ErrorList errors)
    {
        _parser = parser;
        _errors = errors;
    }

    /// <returns>Null when the document is empty, or when an error makes it unreadable (it is in <paramref name="errors"/>).</returns>
    public static YamlNode? Read(string text, int maxBytes, ErrorList errors)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(text) > maxBytes)
        {
            errors.Add(new(1, 1), $"The manifest is larger than {maxBytes / 1024} KiB.", "Keep data out of it.");
            return null;
        }

        var parser = new Parser(new StringReader(text));
        try
        {
            return new YamlReader(parser, errors).ReadStream();
        }
        catch (YamlException exception)
        {
            errors.Add(At(exception.Start), $"This is not YAML: {exception.Message.TrimEnd('.')}.");
            return null;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidOperationException or OverflowException)
        {
            // The parser's own slips on malformed tags, escapes and directives; the text is at fault, not the program.
            errors.Add(At(parser.Current?.End ?? Mark.Empty), $"This is not YAML: {exception.Message.TrimEnd('.')}.");
            return null;
        }
    }

    private YamlNode? ReadStream()
    {
        _parser.Consume<StreamStart>();
        if (_parser.TryConsume<StreamEnd>(out _))
            return null;
        _parser.Consume<DocumentStart>();
        var root = ReadNode(1);
        _parser.Consume<DocumentEnd>();
        if (_parser.TryConsume<DocumentStart>(out var second))
            _errors.Add(At(second.Start), "A manifest is one YAML document; a second one starts here.", "Remove the line ---.");
        return root is YamlScalar { IsNull: true } ? null : root;
    }

    private YamlNode ReadNode(int depth)
    {
        var before = _nodes;
        var start = At(_parser.Current!.Start);
        if (depth > MaxDepth)
            throw new YamlException(_parser.Current.Start, _parser.Current.End, $"nested more than {MaxDepth} deep");
        Count(1);
        if (_parser.TryConsume<AnchorAlias>(out var alias))
        {
            // An anchor is known only once its node is complete, so a node can never hold itself.
            if (!_anchors.TryGetValue(alias.Value.Value, out var known))
                throw new YamlException(alias.Start, alias.End, $"no anchor &{alias.Value.Value} stands before the alias *{alias.Value.Value}");
            Count(known.Count);
            return known.Node;
        }

        if (_parser.Current is not NodeEvent head)
            throw new YamlException(_parser.Current.Start, _parser.Current.End, "a value is missing");
        if (!head.Tag.IsEmpty && !head.Tag.IsNonSpecific)
            _errors.Add(start, $"The tag {head.Tag.Value} means nothing here.", "Remove it.");
        YamlNode node = head switch
        {
            Scalar => ReadScalar(),
            SequenceStart => ReadSequence(start, depth),
            _ => ReadMapping(start, depth),
        };
        if (!head.Anchor.IsEmpty)
            _anchors[head.Anchor.Value] = (node, _nodes - before);
        return node;
    }

    private YamlScalar ReadScalar()
    {
        var scalar = _parser.Consume<Scalar>();
        return new(At(scalar.Start), scalar.Value, scalar.Style != ScalarStyle.Plain);
    }

    private YamlSequence ReadSequence(Location start, int depth)
    {
        _parser.Consume<SequenceStart>();
        var items = new List<YamlNode>();
        while (!_parser.TryConsume<SequenceEnd>(out _))
            items.Add(ReadNode(depth + 1));
        return new(start, items);
    }

    private YamlMapping ReadMapping(Location start, int depth)
    {
        _parser.Consume<MappingStart>();
        var entries = new List<YamlEntry>();
        var seen = new Dictionary<string, Location>();
        while (!_parser.TryConsume<MappingEnd>(out _))
        {
            var keyStart = At(_parser.Current!.Start);
            var key = ReadNode(depth + 1) as YamlScalar;
            var value = ReadNode(depth + 1);
            if (key is null)
                _errors.Add(keyStart, "A key must be plain text.");
            else if (!seen.TryAdd(key.Text, keyStart))
                _errors.Add(keyStart, $"The key \"{key.Text}\" is already on line {seen[key.Text].Line}.", "Remove one of them.");
            else
                entries.Add(new(key with { Location = keyStart }, value));
        }

        return new(start, entries);
    }

    private void Count(int nodes)
    {
        _nodes += nodes;
        if (_nodes > MaxNodes)
            throw new YamlException(_parser.Current!.Start, _parser.Current.End, $"more than {MaxNodes} values, counting every use of an alias");
    }

    private static Location At(Mark mark) => new((int)Math.Max(1, mark.Line), (int)Math.Max(1, mark.Column));
}

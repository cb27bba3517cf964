namespace BytePort.Manifest.Toml;

/// <summary>A table while it is read: what it holds, and how it came to be, which decides what may still be added to it.</summary>
internal sealed class TomlScope
{
    private readonly OrderedDictionary<string, TomlEntry> _entries = new(StringComparer.Ordinal);
    private Dictionary<string, TomlScope>? _tables;
    private Dictionary<string, List<TomlValue>>? _arrays;
    private Definition _definition;

    private TomlScope(Location location, int depth, Definition definition)
    {
        Table = new(location, _entries);
        Depth = depth;
        _definition = definition;
    }

    private enum Definition
    {
        /// <summary>Named only as a part of a longer header; may still be defined.</summary>
        Implicit,
        Header,
        DottedKey,
    }

    public TomlTable Table { get; }

    /// <summary>The root is 0.</summary>
    public int Depth { get; }

    public static TomlScope Root() => new(new(1, 1), 0, Definition.Header);

    /// <summary>The scope of a table in braces. Nothing reaches it from outside, which is what closes it.</summary>
    public static TomlScope Inline(Location location, int depth) => new(location, depth, Definition.Header);

    /// <summary>Steps through a part of a header that is not its last: any table but an inline one, or the newest of an array of tables.</summary>
    public TomlScope Enter(TomlKey key)
    {
        if (_tables?.GetValueOrDefault(key.Text) is { } table)
            return table;
        RefuseIfTaken(key, "cannot be extended");
        return Open(key, Definition.Implicit);
    }

    /// <summary>Steps through a part of a dotted key that is not its last.</summary>
    public TomlScope EnterDotted(TomlKey key)
    {
        if (_tables?.GetValueOrDefault(key.Text) is not { } table)
        {
            RefuseIfTaken(key, "cannot be extended");
            return Open(key, Definition.DottedKey);
        }

        if (table._definition == Definition.Header)
            throw Taken(key, "cannot be extended by a dotted key");
        table._definition = Definition.DottedKey;
        return table;
    }

    /// <summary>Defines the table that a header names.</summary>
    public TomlScope Define(TomlKey key)
    {
        if (_tables?.GetValueOrDefault(key.Text) is not { _definition: Definition.Implicit } table)
        {
            RefuseIfTaken(key, "cannot be defined again");
            return Open(key, Definition.Header);
        }

        table._definition = Definition.Header;
        return table;
    }

    /// <summary>Adds a table to the array that a header in double brackets names.</summary>
    public TomlScope Append(TomlKey key)
    {
        if (_arrays?.GetValueOrDefault(key.Text) is not { } items)
        {
            RefuseIfTaken(key, "cannot become an array of tables");
            (_arrays ??= new(StringComparer.Ordinal)).Add(key.Text, items = []);
            _entries.Add(key.Text, new(key.Location, new TomlArray(key.Location, items)));
        }

        var scope = new TomlScope(key.Location, Depth + 2, Definition.Header);
        items.Add(scope.Table);
        (_tables ??= new(StringComparer.Ordinal))[key.Text] = scope;
        return scope;
    }

    public void Add(TomlKey key, TomlValue value)
    {
        RefuseIfTaken(key, "cannot be given again");
        _entries.Add(key.Text, new(key.Location, value));
    }

    private TomlScope Open(TomlKey key, Definition definition)
    {
        var scope = new TomlScope(key.Location, Depth + 1, definition);
        (_tables ??= new(StringComparer.Ordinal)).Add(key.Text, scope);
        _entries.Add(key.Text, new(key.Location, scope.Table));
        return scope;
    }

    private void RefuseIfTaken(TomlKey key, string what)
    {
        if (_entries.ContainsKey(key.Text))
            throw Taken(key, what);
    }

    private TomlException Taken(TomlKey key, string what) =>
        new(key.Location, $"The key \"{Shown.Of(key.Text)}\" is already on line {_entries[key.Text].KeyLocation.Line} and {what}.", "Remove one of them, or rename it.");
}

/// <summary>One part of a key with its place.</summary>
internal readonly record struct TomlKey(string Text, Location Location);

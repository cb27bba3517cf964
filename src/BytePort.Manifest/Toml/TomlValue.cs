namespace BytePort.Manifest.Toml;

/// <summary>A value of a TOML document with the place where it starts.</summary>
internal abstract record TomlValue(Location Location);

internal sealed record TomlString(Location Location, string Text) : TomlValue(Location);

internal sealed record TomlInteger(Location Location, long Number) : TomlValue(Location);

internal sealed record TomlFloat(Location Location, double Number) : TomlValue(Location);

internal sealed record TomlBoolean(Location Location, bool Flag) : TomlValue(Location);

/// <summary>A date, a time, or both; an offset only with both. At least one of the first two is there.</summary>
/// <param name="Location">Where it starts.</param>
/// <param name="Date">The day, or null for a time of any day.</param>
/// <param name="Time">The time of day, or null for a whole day.</param>
/// <param name="OffsetMinutes">Minutes east of UTC, -1439 to 1439; null for a local date or time.</param>
internal sealed record TomlDateTime(Location Location, TomlDate? Date, TomlTime? Time, int? OffsetMinutes) : TomlValue(Location);

/// <summary>A day of the Gregorian calendar, year 0 to 9999 as in RFC 3339; DateOnly has no year 0.</summary>
internal readonly record struct TomlDate(int Year, int Month, int Day);

/// <summary>A time of day. Second 60 is a leap second, which TimeOnly has not; digits after the ninth are cut off.</summary>
internal readonly record struct TomlTime(int Hour, int Minute, int Second, int Nanosecond);

internal sealed record TomlArray(Location Location, IReadOnlyList<TomlValue> Items) : TomlValue(Location);

/// <param name="Location">Where the table is first named.</param>
/// <param name="Entries">By key, in the order of the document.</param>
internal sealed record TomlTable(Location Location, IReadOnlyDictionary<string, TomlEntry> Entries) : TomlValue(Location);

internal sealed record TomlEntry(Location KeyLocation, TomlValue Value);

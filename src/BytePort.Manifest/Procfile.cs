namespace BytePort.Manifest;

/// <summary>One line of a Procfile.</summary>
/// <param name="Name"><c>[A-Za-z][A-Za-z0-9_-]{0,38}</c>; "web" answers HTTP, "release" runs once per deployment, others are workers.</param>
/// <param name="Command">Shell command.</param>
/// <param name="Line">From 1.</param>
public sealed record ProcfileEntry(string Name, string Command, int Line);

/// <summary>The outcome of reading a Procfile.</summary>
/// <param name="Entries">The lines that are right, in the order of the file.</param>
/// <param name="Errors">Every line that is not.</param>
public sealed record ProcfileResult(IReadOnlyList<ProcfileEntry> Entries, IReadOnlyList<ManifestError> Errors)
{
    /// <summary>The manifest that says the same: "web" answers HTTP, "release" runs before the switch, every other process is a worker.</summary>
    public ProjectManifest ToManifest()
    {
        var release = Entries.FirstOrDefault(entry => entry.Name == "release")?.Command;
        return new()
        {
            Services =
            [
                .. Entries.Where(entry => entry.Name != "release").Select((entry, index) => new ServiceManifest
                {
                    Name = Procfile.ServiceName(entry.Name),
                    Kind = entry.Name == "web" ? ServiceKind.Web : ServiceKind.Worker,
                    Start = entry.Command,
                    Release = index == 0 ? release : null,
                }),
            ],
        };
    }
}

/// <summary>Reads Heroku's process file: a line is <c>name: command</c>; empty lines and lines that start with # are skipped.</summary>
public static class Procfile
{
    public const string FileName = "Procfile";

    private const int MaxCharacters = 64 * 1024;
    private const int MaxEntries = 20;
    private const int MaxNameLength = 39;

    /// <param name="text">The whole file; more than 64 Ki characters are refused.</param>
    /// <param name="fileName">What errors call the file.</param>
    public static ProcfileResult Read(string text, string fileName = FileName)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > MaxCharacters)
            return new([], [new(fileName, 1, 1, $"The file is {text.Length} characters long; {MaxCharacters} is the limit.")]);

        var entries = new List<ProcfileEntry>();
        var errors = new List<ManifestError>();
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
                continue;
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? line : line[..colon].TrimEnd();
            var command = colon < 0 ? "" : line[(colon + 1)..].Trim();
            if (colon <= 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
                errors.Add(new(fileName, number, 1, $"\"{Shorten(line)}\" is not a process.", "Write a line as: web: node server.js"));
            else if (!char.IsAsciiLetter(name[0]) || name.Length > MaxNameLength)
                errors.Add(new(fileName, number, 1, $"\"{Shorten(name)}\" is not a service's name.", $"Start with a letter and stay within {MaxNameLength} characters."));
            else if (command.Length == 0)
                errors.Add(new(fileName, number, 1, $"The process \"{name}\" has no command.", $"Write: {name}: COMMAND"));
            else if (entries.Find(entry => ServiceName(entry.Name) == ServiceName(name)) is { } first)
                errors.Add(new(fileName, number, 1, $"The process \"{name}\" is already on line {first.Line}.", "Remove one of them."));
            else if (entries.Count == MaxEntries)
                errors.Add(new(fileName, number, 1, $"More than {MaxEntries} processes.", "Split the project."));
            else
                entries.Add(new(name, command, number));
            if (errors.Count == MaxEntries)
                break;
        }

        return new(entries, errors);
    }

    /// <summary>What the service of a process is called: names of services have neither capitals nor underscores.</summary>
    internal static string ServiceName(string process) => process.ToLowerInvariant().Replace('_', '-');

    private static string Shorten(string text) => text.Length <= 40 ? text : $"{text[..40]}…";
}

using System.CommandLine;
using System.Globalization;
using System.Text;
using BytePort.Cli.Terminal;
using BytePort.Manifest.Hac;
using Spectre.Console;

namespace BytePort.Cli.Machines;

/// <summary><c>machine new</c>: asks what a machine should be and writes its <c>hac.toml</c>, or the folder of a template.</summary>
internal static class NewCommand
{
    private const string DefaultImage = "base";
    private const UnixFileMode Script = (UnixFileMode)0b111_101_101;

    private const string OnBoot = """
        #!/bin/sh
        # Runs as root before the machine's main process; when it fails, the machine does not start.
        set -eu

        """;

    private sealed record Answers(
        Option<string> Name,
        Option<string> Description,
        Option<string> Os,
        Option<string> Image,
        Option<string> Cores,
        Option<string> Memory,
        Option<string> Drive,
        Option<string[]> Ports,
        Option<string[]> Networks,
        Option<string> Driver,
        Option<string> Type,
        Option<string[]> Limits,
        Option<bool> Nested,
        Option<bool> Persistent,
        Option<bool> Template,
        Option<bool> Yes);

    public static Command Create(CliHost host)
    {
        var folder = new Argument<string>("DIR") { DefaultValueFactory = _ => ".", Description = "Where it is written; made when it is missing." };
        var answers = new Answers(
            new("--name") { HelpName = "NAME", Description = "The machine's name, by default the folder's." },
            new("--description") { HelpName = "TEXT", Description = "For people." },
            new("--os") { HelpName = "NAME", Description = "An operating system of the catalogue; 'machine os ls' lists them." },
            new("--ref") { HelpName = "REF", Description = "A stack such as node@22 or an image, in place of --os; by default base." },
            new("--cores") { HelpName = "N", Description = "Virtual processors, by default 1." },
            new("--memory") { HelpName = "SIZE", Description = "Such as 512M, by default 256M." },
            new("--drive") { HelpName = "SIZE", Description = "Of the writable disk, such as 20G, by default 10G." },
            new("--port", "-p") { HelpName = "HOST:GUEST", Description = "A TCP port of the host that leads to one of the machine's; may be given again." },
            new("--network") { HelpName = "NAME", Description = "A network that it has a card in, by default the team's own; may be given again; none for no network." },
            new("--driver") { HelpName = "NAME", Description = "What it runs on, by default auto." },
            new("--type") { HelpName = "TYPE", Description = "auto, microvm or q35." },
            LimitOptions.Limits(),
            LimitOptions.NestedVirtualization(),
            new("--persistent") { Description = "Keep its disk for the next machine of its name." },
            new("--template") { Description = "Make the folder of a template: config/, scripts/ and data/ beside the file." },
            new("--yes", "-y") { Description = "Ask nothing: what no option says is as by default." });
        var command = new Command("new", "Ask what a machine should be and write its hac.toml. Without a terminal, or with --yes, the options are the answers.")
        {
            folder, answers.Name, answers.Description, answers.Os, answers.Image, answers.Cores, answers.Memory, answers.Drive, answers.Ports, answers.Networks,
            answers.Driver, answers.Type, answers.Limits, answers.Nested, answers.Persistent, answers.Template, answers.Yes,
        };
        command.Runs(host, async (arguments, cancellationToken) =>
        {
            var shown = arguments.GetValue(folder)!;
            var root = Path.GetFullPath(shown, host.Folder);
            var target = Path.Combine(root, HacFile.FileName);
            if (File.Exists(target) || Directory.Exists(target))
                throw new CliException(ExitCode.Failed, $"{Path.Combine(shown, HacFile.FileName)} is there already and is not overwritten. Edit it, or name another folder.");
            var isTemplate = arguments.GetValue(answers.Template);
            var limits = LimitOptions.Read(arguments.GetValue(answers.Limits)) ?? new();
            var file = Read(Compose(host, arguments, answers, NameOf(root), ref isTemplate)) with { Limits = limits };
            await WriteAsync(root, target, file, isTemplate, cancellationToken);
            if (arguments.Json)
                host.Json(new NewMachine(target, file.Name), Manifests.ManifestJson.Default.NewMachine);
            else
                host.Note($"Wrote {Path.Combine(shown, HacFile.FileName)}. Start it with: byteport machine spawn {(isTemplate ? $"-t {shown}" : $"-f {Path.Combine(shown, HacFile.FileName)}")}");
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>The text of the file as the answers make it, right or wrong: its reader says which.</summary>
    private static string Compose(CliHost host, CommandArguments arguments, Answers answers, string defaultName, ref bool isTemplate)
    {
        var asks = host.IsTerminal && !arguments.GetValue(answers.Yes) && !arguments.Json;
        string Ask(Option<string> option, string question, string otherwise, string key, bool quoted = true)
        {
            if (arguments.GetValue(option) is { } given)
                return given;
            if (!asks)
                return otherwise;
            return host.ErrorConsole.Prompt(new TextPrompt<string>(question.EscapeMarkup())
                .DefaultValue(otherwise)
                .Validate(text => Problem(key, text, quoted) is { } problem ? ValidationResult.Error(problem.EscapeMarkup()) : ValidationResult.Success()));
        }

        string[] AskList(Option<string[]> option, string question, string otherwise, string key) =>
            arguments.GetValue(option) is { Length: > 0 } given ? given : !asks ? Split(otherwise) : Split(host.ErrorConsole.Prompt(new TextPrompt<string>(question.EscapeMarkup())
                .DefaultValue(otherwise).AllowEmpty()
                .Validate(text => Problem(key, text, quoted: false, isList: true) is { } problem ? ValidationResult.Error(problem.EscapeMarkup()) : ValidationResult.Success())));

        var name = Ask(answers.Name, "Name:", defaultName, "spacecore.name");
        var os = arguments.GetValue(answers.Os);
        var image = os is null ? Ask(answers.Image, "Stack or image (or os:NAME of the catalogue):", DefaultImage, "hardware.ref") : arguments.GetValue(answers.Image);
        if (os is null && image?.StartsWith("os:", StringComparison.Ordinal) is true)
            (os, image) = (image[3..], null);
        var cores = Ask(answers.Cores, "Cores:", "1", "hardware.cores", quoted: false);
        var memory = Ask(answers.Memory, "Memory:", "256M", "hardware.memory");
        var drive = Ask(answers.Drive, "Disk:", "10G", "hardware.drive");
        var networks = AskList(answers.Networks, "Networks, with blanks between them (none for no network):", HacFile.DefaultInterface, "hardware.interface");
        var ports = AskList(answers.Ports, "Ports to publish such as 8081:80, with blanks between them (may be empty):", "", "hardware.ports");
        var driver = Ask(answers.Driver, "Driver:", HacFile.Auto, "hardware.driver");
        var persistent = arguments.GetValue(answers.Persistent)
            || (asks && host.ErrorConsole.Prompt(new ConfirmationPrompt("Keep its disk when it goes?") { DefaultValue = false }));
        if (!isTemplate && asks)
            isTemplate = host.ErrorConsole.Prompt(new ConfirmationPrompt("Make a template, with config/, scripts/ and data/?") { DefaultValue = false });

        var text = new StringBuilder();
        _ = text.Append(CultureInfo.InvariantCulture, $"[spacecore]\nname = {Quote(name)}\n");
        if (arguments.GetValue(answers.Description) is { } description)
            _ = text.Append(CultureInfo.InvariantCulture, $"description = {Quote(description)}\n");
        _ = text.Append("[hardware]\n");
        if (os is not null)
            _ = text.Append(CultureInfo.InvariantCulture, $"os = {Quote(os)}\n");
        if (image is not null)
            _ = text.Append(CultureInfo.InvariantCulture, $"ref = {Quote(image)}\n");
        _ = text.Append(CultureInfo.InvariantCulture, $"cores = {(int.TryParse(cores, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number.ToString(CultureInfo.InvariantCulture) : Quote(cores))}\n");
        _ = text.Append(CultureInfo.InvariantCulture, $"memory = {Quote(memory)}\ndrive = {Quote(drive)}\ninterface = {(networks is ["none"] ? "\"none\"" : List(networks))}\nports = {List(ports)}\ndriver = {Quote(driver)}\n");
        if (arguments.GetValue(answers.Type) is { } type)
            _ = text.Append(CultureInfo.InvariantCulture, $"machine = {Quote(type)}\n");
        _ = text.Append(CultureInfo.InvariantCulture, $"persistent = {(persistent ? "true" : "false")}\nnested_virtualization = {(arguments.GetValue(answers.Nested) ? "true" : "false")}\n");
        return text.ToString();
    }

    /// <summary>What the file's reader has against an answer; null for nothing.</summary>
    private static string? Problem(string key, string text, bool quoted, bool isList = false)
    {
        if (key == "hardware.ref" && text.StartsWith("os:", StringComparison.Ordinal))
            (key, text) = ("hardware.os", text[3..]);
        var value = isList ? Split(text) is ["none"] ? "\"none\"" : List(Split(text)) : quoted || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? Quote(text) : text;
        var rest = new Dictionary<string, string> { ["spacecore.name"] = "\"a\"", [key == "hardware.os" ? key : "hardware.ref"] = "\"base\"" };
        rest[key] = value;
        var result = HacReader.Read(Encoding.UTF8.GetBytes(string.Concat(rest.Select(pair => $"{pair.Key} = {pair.Value}\n"))));
        return result.Errors.Count == 0 ? null : string.Join(' ', result.Errors.Select(error => error.Message));
    }

    private static HacFile Read(string text)
    {
        var result = HacReader.Read(Encoding.UTF8.GetBytes(text));
        return result.File ?? throw new CliException(ExitCode.Usage, string.Join(' ', result.Errors.Select(error => $"{error.Message}{(error.Suggestion is null ? "" : $" {error.Suggestion}")}")));
    }

    private static async Task WriteAsync(string root, string target, HacFile file, bool isTemplate, CancellationToken cancellationToken)
    {
        var text = HacWriter.Write(file);
        // What is written is read once more: a file that this program wrote must not be refused by it.
        _ = Read(text);
        _ = Directory.CreateDirectory(root);
        if (isTemplate)
        {
            foreach (var folder in (ReadOnlySpan<string>)["config", "scripts", "data"])
                _ = Directory.CreateDirectory(Path.Combine(root, folder));
            await CreateAsync(Path.Combine(root, "scripts", "on-boot"), OnBoot.ReplaceLineEndings("\n"), Script, cancellationToken);
            // Only files are sent: this one makes the shared folder be there.
            await CreateAsync(Path.Combine(root, "data", ".keep"), "", null, cancellationToken);
        }

        // Last, so that a folder with it is complete; and never over another.
        if (!await CreateAsync(target, text, null, cancellationToken))
            throw new CliException(ExitCode.Failed, $"{target} was written by somebody else meanwhile and is left alone.");
    }

    /// <summary>False when the file is there already.</summary>
    private static async Task<bool> CreateAsync(string path, string text, UnixFileMode? mode, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode });
            await stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);
            return true;
        }
        catch (IOException) when (File.Exists(path))
        {
            return false;
        }
    }

    private static string NameOf(string folder)
    {
        var name = string.Concat(Path.GetFileName(folder).ToLowerInvariant().Select(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) ? c : '-')).Trim('-');
        return name.Length is > 0 and <= 60 ? name : "machine";
    }

    private static string[] Split(string text) => text.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries);

    private static string List(IEnumerable<string> items) => $"[{string.Join(", ", items.Select(Quote))}]";

    private static string Quote(string text) => HacWriter.Quote(text);
}

/// <summary>A file that was written.</summary>
internal sealed record NewMachine(string Path, string Name);

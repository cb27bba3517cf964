using System.CommandLine;
using BytePort.Cli.Terminal;
using BytePort.Manifest;

namespace BytePort.Cli.Projects;

/// <summary>Which project a command means: PROJECT or --project, else the one of the current folder.</summary>
internal sealed class ProjectArgument
{
    private readonly Argument<string?> _argument = new("PROJECT")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "The project; by default the name in byteport.yaml, or the name of the current folder.",
    };

    private readonly Option<string?> _option = new("--project", "-p") { HelpName = "PROJECT", Description = "The same as PROJECT." };

    public void AddTo(Command command)
    {
        command.Add(_argument);
        command.Add(_option);
    }

    public string? Explicit(CommandArguments arguments) => arguments.GetValue(_option) ?? arguments.GetValue(_argument);

    public async Task<string> GetAsync(CliHost host, CommandArguments arguments, CancellationToken cancellationToken) =>
        Explicit(arguments) ?? await ProjectName.OfFolderAsync(host.Folder, cancellationToken);
}

/// <summary>Names for projects that nobody named.</summary>
internal static class ProjectName
{
    private const int MaxLength = 39;

    /// <summary>The name in the folder's manifest, or the folder's own name.</summary>
    public static async Task<string> OfFolderAsync(string folder, CancellationToken cancellationToken)
    {
        var manifest = await ManifestReader.ReadFolderAsync(folder, cancellationToken);
        return manifest?.Manifest?.Name ?? Normalize(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))));
    }

    /// <summary>Lower-case letters, digits and single hyphens; a letter first; at most 39 characters.</summary>
    public static string Normalize(string text)
    {
        var words = string.Concat(text.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-'))
            .Split('-', StringSplitOptions.RemoveEmptyEntries);
        var name = string.Join('-', words);
        if (name.Length == 0)
            return "app";
        if (!char.IsAsciiLetter(name[0]))
            name = $"app-{name}";
        return name.Length <= MaxLength ? name : name[..MaxLength].TrimEnd('-');
    }
}

using BytePort.Manifest.Hac;

namespace BytePort.Server.Machines.Templates;

/// <summary>A template's folder, read and checked (docs/guide/machine-templates.md).</summary>
/// <param name="Folder">Absolute.</param>
/// <param name="Scripts">Names of those that are there.</param>
internal sealed record TemplateContent(string Folder, HacFile File, IReadOnlySet<string> Scripts, bool HasConfig, bool HasData)
{
    public const string Config = "config";
    public const string ScriptsFolder = "scripts";
    public const string Data = "data";

    /// <summary>Runs to its end before the main process starts; its failure fails the start.</summary>
    public const string OnBoot = "on-boot";

    /// <summary>Runs when the machine is stopped, before its main process is told to end.</summary>
    public const string BeforeShutdown = "before-shutdown";

    /// <summary>Runs when a terminal that was attached to the machine is gone.</summary>
    public const string OnDisconnect = "on-disconnect";

    private const long MaxScriptBytes = 1 << 20;

    private static readonly string[] Events = [OnBoot, BeforeShutdown, OnDisconnect];
    private static readonly string[] Folders = [Config, ScriptsFolder, Data];

    /// <summary>For people, and for no machine.</summary>
    private static readonly string[] Beside = [".gitignore", ".gitattributes", ".byteportignore", "README", "README.md", "README.txt", "LICENSE", "LICENSE.md"];

    /// <summary>What lies below <c>config/</c>.</summary>
    public string ConfigPath => Path.Combine(Folder, Config);

    public string ScriptsPath => Path.Combine(Folder, ScriptsFolder);

    public string DataPath => Path.Combine(Folder, Data);

    /// <summary>Reads a folder whose entries are known to be files, folders and links that stay inside.</summary>
    /// <exception cref="MachineFaultException">Names everything that is wrong.</exception>
    public static async Task<TemplateContent> ReadAsync(string folder, CancellationToken cancellationToken)
    {
        var errors = new List<string>();
        HacFile? file = null;
        var path = Path.Combine(folder, HacFile.FileName);
        if (IsFile(path))
        {
            var result = await HacReader.ReadFileAsync(path, HacFile.FileName, cancellationToken);
            file = result.File;
            errors.AddRange(result.Errors.Select(error => error.ToString()));
        }
        else
        {
            errors.Add($"A template needs the file {HacFile.FileName}: 'byteport machine new' writes one.");
        }

        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos().OrderBy(entry => entry.Name, StringComparer.Ordinal))
        {
            if (Folders.Contains(entry.Name))
            {
                if (entry is not DirectoryInfo || entry.LinkTarget is not null)
                    errors.Add($"{entry.Name} must be a folder.");
            }
            else if (entry.Name != HacFile.FileName && !Beside.Contains(entry.Name))
            {
                errors.Add($"'{entry.Name}' is no part of a template; it has {HacFile.FileName}, config/, scripts/ and data/.");
            }
        }

        var scripts = FindScripts(Path.Combine(folder, ScriptsFolder), errors);
        foreach (var named in file?.Template.Modes.Keys ?? [])
        {
            var target = new FileInfo(Path.Combine(folder, Config, named));
            if (target.LinkTarget is not null || (!target.Exists && !Directory.Exists(target.FullName)))
                errors.Add($"template.modes names '{named}', which is neither a file nor a folder below config/.");
        }

        return errors.Count == 0
            ? new TemplateContent(folder, file!, scripts, Directory.Exists(Path.Combine(folder, Config)), Directory.Exists(Path.Combine(folder, Data)))
            : throw new MachineFaultException(MachineFault.Invalid, string.Join(' ', errors.Take(20)));
    }

    private static HashSet<string> FindScripts(string folder, List<string> errors)
    {
        var found = new HashSet<string>();
        if (!Directory.Exists(folder))
            return found;
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos().OrderBy(entry => entry.Name, StringComparer.Ordinal))
        {
            if (!Events.Contains(entry.Name))
                errors.Add($"scripts/{entry.Name} is no event; there are {string.Join(", ", Events)}.");
            else if (!IsFile(entry.FullName) || ((FileInfo)entry).Length > MaxScriptBytes)
                errors.Add($"scripts/{entry.Name} must be a file of at most 1 MiB.");
            else
                _ = found.Add(entry.Name);
        }

        return found;
    }

    private static bool IsFile(string path) => new FileInfo(path) is { Exists: true, LinkTarget: null };
}

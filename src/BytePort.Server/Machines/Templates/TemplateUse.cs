using BytePort.Manifest.Hac;
using NanoVms.Machines;

namespace BytePort.Server.Machines.Templates;

/// <summary>What a template makes of a machine.</summary>
internal static class TemplateUse
{
    /// <summary>Where the guest has the scripts.</summary>
    private const string ScriptsPath = "/var/lib/byteport/scripts";

    private const UnixFileMode Program = (UnixFileMode)0b111_101_101;

    /// <summary>What may come back of a shared folder.</summary>
    private static readonly CopyLimits DataLimits = new(1L << 30, 50_000);

    /// <summary>What the machine keeps of the template for as long as it lives.</summary>
    public static MachineSpec Apply(MachineSpec spec, TemplateLease lease, IReadOnlyDictionary<string, string> environment)
    {
        var template = lease.Content.File.Template;
        return spec with
        {
            SharedFolders = lease.Data is null ? [] : [new SharedFolderSpec(lease.Data, template.Data, DataLimits)],
            BeforeShutdown = lease.Content.Scripts.Contains(TemplateContent.BeforeShutdown) ? [Hook(TemplateContent.BeforeShutdown, template, environment)] : [],
        };
    }

    /// <summary>What is done in it before its main process starts.</summary>
    public static MachineSetup Setup(TemplateLease lease, IReadOnlyDictionary<string, string> environment)
    {
        var (content, template) = (lease.Content, lease.Content.File.Template);
        var folders = new List<SetupFolder>();
        if (content.HasConfig)
            folders.Add(new SetupFolder(content.ConfigPath, "/", template.Modes.ToDictionary(pair => pair.Key, pair => (UnixFileMode)pair.Value)));
        // Whether they were executable where they came from: they are here.
        if (content.Scripts.Count > 0)
            folders.Add(new SetupFolder(content.ScriptsPath, ScriptsPath, content.Scripts.ToDictionary(name => name, _ => Program)));
        return new MachineSetup
        {
            Folders = folders,
            OnBoot = content.Scripts.Contains(TemplateContent.OnBoot) ? [Hook(TemplateContent.OnBoot, template, environment)] : [],
        };
    }

    /// <summary>A script of the template as a process of the machine.</summary>
    public static ProcessSpec Script(string name) => new() { Command = [$"{ScriptsPath}/{name}"] };

    private static HookSpec Hook(string name, HacTemplate template, IReadOnlyDictionary<string, string> environment) =>
        new(Script(name) with { Environment = environment }, TimeSpan.FromSeconds(template.ScriptSeconds));
}

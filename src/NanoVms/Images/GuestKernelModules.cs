using NanoVms.Commands;

namespace NanoVms.Images;

/// <summary>Picks the modules that a guest needs out of a kernel's package, with all they depend on, in an order that loads.</summary>
internal static class GuestKernelModules
{
    /// <summary>The file in the modules' folder that says which group each is of; the agent loads group by group.</summary>
    public const string OrderFile = "order";

    // The groups as the agent asks for them. A module goes to the first group that needs it.
    private static readonly (string Group, string[] Modules)[] Groups =
    [
        ("virtio", ["virtio_ring", "virtio"]),
        ("mmio", ["virtio_mmio"]),
        ("pci", ["virtio_pci"]),
        ("console", ["virtio_console"]),
        ("vsock", ["vmw_vsock_virtio_transport"]),
        ("block", ["virtio_blk"]),
        ("layers", ["erofs", "overlay"]),
        ("network", ["virtio_net"]),
        ("host", ["virtio_rng", "virtio_balloon"]),
    ];

    /// <summary>The file in the modules' folder that says which were wanted: an unpacked kernel from before a change of that is made anew.</summary>
    private const string WantedFile = "wanted";

    private static string Wanted => string.Join(' ', Groups.Select(w => $"{w.Group}:{string.Join(',', w.Modules)}"));

    /// <summary>True when the folder holds what is wanted now.</summary>
    public static bool AreCurrent(string folder) =>
        File.Exists(Path.Combine(folder, OrderFile))
        && File.Exists(Path.Combine(folder, WantedFile))
        && File.ReadAllText(Path.Combine(folder, WantedFile)) == Wanted;

    /// <summary>For a kernel that has everything built in.</summary>
    public static void WriteNone(string folder)
    {
        File.WriteAllText(Path.Combine(folder, OrderFile), "");
        File.WriteAllText(Path.Combine(folder, WantedFile), Wanted);
    }

    /// <param name="tree">The package's <c>lib/modules/RELEASE</c>.</param>
    /// <param name="target">An empty folder.</param>
    public static async Task PickAsync(string tree, string target, CancellationToken cancellationToken)
    {
        var files = Directory.EnumerateFiles(tree, "*.ko*", SearchOption.AllDirectories).ToDictionary(NameOf);
        var builtIn = File.ReadLines(Path.Combine(tree, "modules.builtin")).Select(NameOf).ToHashSet();
        var order = new List<string>();
        var picked = new HashSet<string>();
        foreach (var (group, modules) in Groups)
        {
            foreach (var module in modules)
                await AddAsync(module, group);
        }

        await File.WriteAllLinesAsync(Path.Combine(target, OrderFile), order, cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(target, WantedFile), Wanted, cancellationToken);

        async Task AddAsync(string module, string group)
        {
            if (builtIn.Contains(module) || !picked.Add(module))
                return;
            if (!files.TryGetValue(module, out var source))
                throw new ImageException($"The kernel {Path.GetFileName(tree)} has no module {module}, which guests need: it is no cloud or generic kernel.");
            var file = Path.Combine(target, module + ".ko");
            await CopyAsync(source, file, cancellationToken);
            foreach (var needed in DependenciesOf(await File.ReadAllBytesAsync(file, cancellationToken)))
                await AddAsync(needed, group);
            order.Add($"{group} {module}.ko");
        }
    }

    /// <summary>The "depends=a,b" of the module's information section, which is text that ends in zeros.</summary>
    internal static string[] DependenciesOf(ReadOnlySpan<byte> module)
    {
        var at = module.IndexOf("\0depends="u8);
        if (at < 0)
            return [];
        var text = module[(at + 9)..];
        return System.Text.Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)])
            .Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(name => name.Replace('-', '_'))
            .ToArray();
    }

    private static async Task CopyAsync(string source, string target, CancellationToken cancellationToken)
    {
        if (source.EndsWith(".ko", StringComparison.Ordinal))
        {
            File.Copy(source, target);
            return;
        }

        var packed = target + Path.GetExtension(source);
        File.Copy(source, packed);
        var program = packed.EndsWith(".zst", StringComparison.Ordinal) ? "zstd" : "xz";
        string[] options = program == "zstd" ? ["-d", "-q", "--rm"] : ["-d", "-q"];
        await CommandRunner.RunCheckedAsync(new Command(program, [.. options, packed]), cancellationToken);
    }

    private static string NameOf(string path)
    {
        var name = Path.GetFileName(path);
        return name[..name.IndexOf(".ko", StringComparison.Ordinal)].Replace('-', '_');
    }
}

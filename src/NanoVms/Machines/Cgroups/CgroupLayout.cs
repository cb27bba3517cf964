using NanoVms.Commands;

namespace NanoVms.Machines.Cgroups;

/// <summary>Where this computer keeps its control groups: for each controller the folder of its hierarchy and its version.</summary>
/// <param name="Roots">Controller (<c>cpu</c>, <c>memory</c>, <c>pids</c>, <c>io</c>) to place; one that is missing is not there.</param>
internal sealed record CgroupLayout(IReadOnlyDictionary<string, CgroupRoot> Roots)
{
    private static readonly string[] Wanted = ["cpu", "memory", "pids", "io"];

    /// <summary>Every hierarchy: a container's runtime makes a group in each.</summary>
    public IReadOnlyList<string> Mounts { get; init; } = [];

    /// <summary>The hierarchy whose groups can be stopped: that of version 1's freezer, or version 2's.</summary>
    public CgroupRoot? Freezer { get; init; }

    /// <summary>Reads <c>/proc/self/mountinfo</c> (proc(5)); a controller that version 1 holds is not in version 2.</summary>
    /// <param name="controllersOf">Text of a version 2 hierarchy's <c>cgroup.controllers</c>.</param>
    public static CgroupLayout Parse(string mountInfo, Func<string, string> controllersOf)
    {
        var roots = new Dictionary<string, CgroupRoot>();
        var mounts = new List<string>();
        CgroupRoot? freezer = null;
        foreach (var line in mountInfo.Split('\n'))
        {
            // "… ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS"
            var halves = line.Split(" - ");
            var left = halves[0].Split(' ');
            if (halves.Length < 2 || left.Length < 5)
                continue;
            var right = halves[1].Split(' ');
            var controllers = right switch
            {
                ["cgroup2", ..] => controllersOf(left[4]).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries),
                ["cgroup", _, var options, ..] => [.. options.Split(',').Select(o => o == "blkio" ? "io" : o)],
                _ => [],
            };
            if (right[0] is "cgroup" or "cgroup2")
                mounts.Add(left[4]);
            if (controllers.Contains("freezer") || (right[0] == "cgroup2" && freezer is null))
                freezer = new CgroupRoot(left[4], right[0] == "cgroup2" ? 2 : 1);
            foreach (var controller in controllers.Intersect(Wanted))
                _ = roots.TryAdd(controller, new CgroupRoot(left[4], right[0] == "cgroup2" ? 2 : 1));
        }

        return new CgroupLayout(roots) { Mounts = mounts, Freezer = freezer };
    }

    public static CgroupLayout OfThisComputer() =>
        Parse(File.ReadAllText("/proc/self/mountinfo"), ControllersOf).Writable(File.ReadAllText("/proc/self/cgroup"), FileAccessRights.MayWrite, ControllersOf);

    /// <summary>What this process may make groups in: whole hierarchies, or of version 2 the part beside its own group where that was given to its user.</summary>
    /// <param name="own">Text of <c>/proc/self/cgroup</c> (cgroups(7)).</param>
    public CgroupLayout Writable(string own, Func<string, bool> mayWrite, Func<string, string> controllersOf)
    {
        var roots = new Dictionary<string, CgroupRoot>();
        foreach (var (controller, root) in Roots)
        {
            if (PlaceIn(root) is { } place && (place == root || controllersOf(place.Path).Split((char[])[' ', '\n']).Contains(controller)))
                roots[controller] = place;
        }

        return new CgroupLayout(roots) { Mounts = [.. Mounts.Where(mayWrite).Concat(roots.Values.Select(root => root.Path)).Distinct()], Freezer = Freezer is { } freezer ? PlaceIn(freezer) : null };

        CgroupRoot? PlaceIn(CgroupRoot root)
        {
            if (mayWrite(root.Path))
                return root;
            if (root.Version != 2 || own.Split('\n').FirstOrDefault(line => line.StartsWith("0::/", StringComparison.Ordinal)) is not { } line)
                return null;
            // A group with processes passes no controllers on, so the machines' are beside this process's, not in it.
            var path = Path.Combine(root.Path, (Path.GetDirectoryName(line["0::".Length..]) ?? "/").TrimStart('/'));
            return mayWrite(path) && mayWrite(Path.Combine(path, "cgroup.procs")) ? root with { Path = path } : null;
        }
    }

    private static string ControllersOf(string root) =>
        File.Exists(Path.Combine(root, "cgroup.controllers")) ? File.ReadAllText(Path.Combine(root, "cgroup.controllers")) : "";

    public IEnumerable<string> Missing => Wanted.Where(c => !Roots.ContainsKey(c));
}

/// <param name="Path">Mount point of the hierarchy.</param>
/// <param name="Version">1 or 2.</param>
internal sealed record CgroupRoot(string Path, int Version);

using BytePort.Manifest.Yaml;

namespace BytePort.Manifest.Shapes;

/// <summary>The description of <c>byteport.yaml</c>, and the way from what was read to the records.</summary>
internal static class ManifestShape
{
    private const string NamePattern = "^[a-z][a-z0-9-]{0,38}$";
    private const string NameExpected = "1 to 39 lower-case letters, digits and hyphens, a letter first";

    private static readonly TextShape Name = new(NameExpected) { Pattern = NamePattern, MaxLength = 39 };
    private static readonly TextShape Command = new("a shell command") { MaxLength = 8000, Convert = text => text.Trim() is { Length: > 0 } command ? command : null };

    private static readonly TextShape Folder = new("a folder inside the project such as \"web\" or \"packages/site\" (relative, no ..)")
    {
        Convert = Paths.NormalizeInside,
    };

    private static readonly TextShape Route = new("a URL path that starts with /, such as /api, without .., ?, # or spaces")
    {
        Pattern = "^/",
        MaxLength = 200,
        Convert = Paths.NormalizeRoute,
    };

    private static readonly ObjectShape Scale = new(
    [
        new("min", "Fewest instances; 0 lets the service sleep when idle.", new NumberShape(0, 20)),
        new("max", "Most instances.", new NumberShape(1, 20)),
        new("concurrency", "Requests in flight per instance before another is started.", new NumberShape(1, 100_000)),
        new("cpu", "Percent of the CPU limit above which another instance is started.", new NumberShape(1, 100)),
        new("memory", "Percent of the memory limit above which another instance is started.", new NumberShape(1, 100)),
        new("idle", "Time without a request after which a service with min 0 sleeps, such as 5m.", new TextShape("a time such as 30s, 5m or 1h30m")
        {
            Pattern = "^[0-9]+(ms|s|m|h|d)([0-9]+(ms|s|m|h|d))*$",
            MaxLength = 40,
            Convert = text => Duration.TryParse(text, out var time) && time > TimeSpan.Zero ? time : null,
        }),
    ]);

    private static readonly ObjectShape Volume = new(
    [
        new("name", "Unique in the service.", Name) { Required = true },
        new("path", "Absolute mount point in the machine.", new TextShape("an absolute path such as /data (not /, no ..)")
        {
            Pattern = "^/",
            Convert = Paths.NormalizeMountPoint,
        })
        { Required = true },
        new("size", "Size such as 512Mi or 1Gi, from 1Mi to 1Ti.", new TextShape("a size from 1Mi to 1Ti such as 512Mi or 1Gi")
        {
            Pattern = "^[0-9]+([KMGT]i?)?B?$",
            MaxLength = 20,
            Convert = text => ByteSize.TryParse(text, out var bytes) && bytes is >= 1L << 20 and <= 1L << 40 ? bytes : null,
        })
        { Required = true },
    ]);

    private static readonly ObjectShape Service = new(
    [
        new("kind", "static (files), web (answers HTTP on $PORT), worker (no traffic) or cron (started by a schedule). Detected when not given.",
            new TextShape("static, web, worker or cron") { Choices = ["static", "web", "worker", "cron"] }) { OtherNames = ["type"] },
        new("path", "The service's folder, relative to the root of the project.", Folder) { OtherNames = ["root", "dir", "directory", "folder", "context"] },
        new("runtime", "A stack and its version, such as node@22 or python@3.", new TextShape("a stack such as node, node@22 or python@3")
        {
            Pattern = "^[a-z][a-z0-9-]*(@[0-9A-Za-z][0-9A-Za-z.+-]*)?$",
            MaxLength = 60,
        })
        { OtherNames = ["stack", "image", "buildpack", "language"] },
        new("install", "Command that installs dependencies, before build.", Command),
        new("build", "Command that builds, run in path.", Command),
        new("release", "Command that runs once per deployment, before traffic is switched.", Command) { OtherNames = ["predeploy", "migrate"] },
        new("start", "Command that starts the process.", Command) { OtherNames = ["command", "cmd", "run", "entrypoint"] },
        new("output", "The folder of built files, relative to path.", Folder) { OtherNames = ["publish", "dist", "public"] },
        new("spa", "True: unknown paths of a static site answer index.html.", new FlagShape()),
        new("routes", "Path prefixes under the project's URL that this service answers.",
            new ListShape("a list of URL paths such as [/api]", Route, 50)) { OtherNames = ["route", "paths", "url"] },
        new("health", "Path that answers 2xx or 3xx when the service is healthy.", new TextShape("a URL path that starts with /, such as /healthz")
        {
            Pattern = "^/[!-~]*$",
            MaxLength = 200,
        })
        { OtherNames = ["healthcheck", "health_check", "healthcheckpath"] },
        new("size", "Memory, CPU and disk: tier-1 (128 MiB, 0.1 CPU), tier-2 (256, 0.25), tier-3 (512, 0.5), tier-4 (1024, 1).",
            new TextShape("tier-1, tier-2, tier-3 or tier-4") { Choices = [.. MachineSize.All.Select(size => size.Name)] }) { OtherNames = ["tier", "plan", "memory"] },
        new("port", "The port that the process listens on; it is what $PORT says.", new NumberShape(1, 65535)),
        new("scale", "How many instances run.", Scale) { OtherNames = ["scaling", "replicas", "instances"] },
        new("env", "Variables; values reach the process exactly as written.", new MapShape(
            "a mapping of variables to values", "a variable name (letters, digits and _, not starting with a digit)", "^[A-Za-z_][A-Za-z0-9_]{0,127}$",
            new TextShape("text") { Verbatim = true, MaxLength = 32 * 1024 }, 500)) { OtherNames = ["environment", "variables", "vars"] },
        new("volumes", "Disks that survive deployments.", new ListShape("a list of volumes, each with name, path and size", Volume, 10)) { OtherNames = ["disks", "mounts"] },
        new("schedule", "Five cron fields in UTC, such as \"0 3 * * *\"; only for kind cron.", new TextShape("five cron fields such as \"0 3 * * *\"")
        {
            MaxLength = 200,
            Convert = CronSchedule.Normalize,
        })
        { OtherNames = ["cron"] },
    ])
    { MayBeEmpty = true };

    /// <summary>The whole manifest.</summary>
    public static ObjectShape Root { get; } = new(
    [
        new("name", "The project's name: lower-case letters, digits and hyphens.", Name),
        new("services", "The project's services by name.", new MapShape("a mapping of service names to services", NameExpected, NamePattern, Service, 20)) { OtherNames = ["apps", "service"] },
        new("portfolio", "How the project appears in its owner's portfolio.", new ObjectShape(
        [
            new("show", "False keeps the project out of the portfolio.", new FlagShape()),
            new("title", "The entry's title.", new TextShape("text") { MaxLength = 100 }),
            new("tags", "Words to find it by.", new ListShape("a list of words", new TextShape("a word") { MaxLength = 40 }, 20)),
        ])),
    ]);

    /// <summary>Reads the whole document; the result is only meaningful when no error was added.</summary>
    public static ProjectManifest? Read(YamlNode root, ErrorList errors)
    {
        if (Root.Read(root, "", errors) is not Pairs pairs)
            return null;
        var services = pairs.Find<Pairs>("services")?.All ?? [];
        ServiceRules.Check(services, errors);
        return new()
        {
            Name = pairs.Get<string>("name"),
            Services = [.. services.Select(pair => BindService(pair.Key, (Pairs)pair.Value))],
            Portfolio = pairs.Find<Pairs>("portfolio") is { } portfolio ? BindPortfolio(portfolio) : null,
        };
    }

    private static ServiceManifest BindService(string name, Pairs pairs) => new()
    {
        Name = name,
        Kind = pairs.Get<string>("kind") is { } kind ? Enum.Parse<ServiceKind>(kind, ignoreCase: true) : null,
        Path = pairs.Get<string>("path") ?? ".",
        Runtime = pairs.Get<string>("runtime"),
        Install = pairs.Get<string>("install"),
        Build = pairs.Get<string>("build"),
        Release = pairs.Get<string>("release"),
        Start = pairs.Get<string>("start"),
        Output = pairs.Get<string>("output"),
        Spa = pairs.GetValue<bool>("spa"),
        Routes = pairs.GetList<string>("routes"),
        Health = pairs.Get<string>("health"),
        Size = pairs.Get<string>("size") is { } size ? MachineSize.Find(size) : null,
        Port = pairs.GetValue<int>("port"),
        Scale = pairs.Find<Pairs>("scale") is { } scale ? BindScale(scale) : null,
        Environment = (pairs.Find<Pairs>("env")?.All ?? []).ToDictionary(pair => pair.Key, pair => (string)((Leaf)pair.Value).Content),
        Volumes = [.. (pairs.Find<Items>("volumes")?.All ?? []).Cast<Pairs>().Select(BindVolume)],
        Schedule = pairs.Get<string>("schedule"),
    };

    private static ScaleManifest BindScale(Pairs pairs) => new()
    {
        Min = pairs.GetValue<int>("min"),
        Max = pairs.GetValue<int>("max"),
        Concurrency = pairs.GetValue<int>("concurrency"),
        Cpu = pairs.GetValue<int>("cpu"),
        Memory = pairs.GetValue<int>("memory"),
        Idle = pairs.GetValue<TimeSpan>("idle"),
    };

    private static VolumeManifest BindVolume(Pairs pairs) =>
        new(pairs.Get<string>("name") ?? "", pairs.Get<string>("path") ?? "", pairs.GetValue<long>("size") ?? 0);

    private static PortfolioManifest BindPortfolio(Pairs pairs) => new()
    {
        Show = pairs.GetValue<bool>("show") ?? true,
        Title = pairs.Get<string>("title"),
        Tags = pairs.GetList<string>("tags"),
    };
}

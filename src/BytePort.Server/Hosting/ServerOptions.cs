using System.Net;
using BytePort.Manifest.Hac;
using BytePort.Server.Grpc;

namespace BytePort.Server.Hosting;

/// <summary>How this server runs: set once from the command line and the environment.</summary>
internal sealed record ServerOptions
{
    private static readonly MachineLimits DefaultLimits = new() { ReceiveBits = 1_000_000_000, SendBits = 1_000_000_000 };

    /// <summary>Folder that holds everything the platform keeps: database, blobs, machines, logs.</summary>
    public required string DataFolder { get; init; }

    /// <summary>Address to listen on, <c>host:port</c>; <c>localhost</c> means the loopback addresses.</summary>
    public string Listen { get; init; } = "localhost:8080";

    /// <summary>Address for gRPC, <c>host:port</c>; null serves none.</summary>
    public string? GrpcListen { get; init; }

    /// <summary>Connection string of an external PostgreSQL; null starts a private one under the data folder.</summary>
    public string? Database { get; init; }

    /// <summary>Folder for stack images and guest kernels; may be shared by several platforms of one host.</summary>
    public string CacheFolder { get; init; } = "/var/cache/byteport";

    /// <summary>After how long without use the daily collection removes images that nothing needs; null turns it off.</summary>
    public TimeSpan? CollectAfter { get; init; } = TimeSpan.FromDays(7);

    /// <summary>The operator's own recipes of stacks.</summary>
    public string RecipesFolder => InData("stacks");

    /// <summary>Folder of sample projects, served as Git repositories; null serves none.</summary>
    public string? SamplesFolder { get; init; }

    /// <summary>The guest agent's executable.</summary>
    public required string AgentPath { get; init; }

    /// <summary>Stop the server, its machines and its database instead of starting.</summary>
    public bool Down { get; init; }

    public string ListenHost => Listen[..Listen.LastIndexOf(':')];

    /// <summary>True when every team may start machines by the container driver; else administrators alone.</summary>
    public bool ContainersForAll { get; init; }

    /// <summary>True when every team may have nested virtualization; else administrators alone.</summary>
    public bool NestedForAll { get; init; }

    /// <summary>The most that each machine may move in a second, and what it may when nobody says anything.</summary>
    public MachineLimits MachineLimits { get; init; } = DefaultLimits;

    public int ListenPort => int.Parse(Listen[(Listen.LastIndexOf(':') + 1)..], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The domain under which apps get their names: <c>name.localhost</c>.</summary>
    public string AppDomain { get; init; } = "localhost";

    /// <summary>The address a person types for the platform itself.</summary>
    public Uri Url => new($"http://{(IPAddress.TryParse(ListenHost.Trim('[', ']'), out var address) && address.Equals(IPAddress.Any) ? "localhost" : ListenHost)}:{ListenPort}");

    public Uri AppUrl(string name) => new($"http://{name}.{AppDomain}:{ListenPort}");

    public string InData(params string[] parts) => Path.Combine([DataFolder, .. parts]);

    /// <summary>Reads the command line; collects every mistake before it gives up.</summary>
    /// <exception cref="ServerOptionsException">Names each unknown or malformed argument.</exception>
    public static ServerOptions Parse(IReadOnlyList<string> arguments, Func<string, string?> environment)
    {
        var values = new Dictionary<string, string>();
        var errors = new List<string>();
        var down = false;
        for (var i = 0; i < arguments.Count; i++)
        {
            switch (arguments[i])
            {
                case "--down":
                    down = true;
                    break;
                case "--data" or "--listen" or "--grpc-listen" or "--database" or "--cache" or "--samples" or "--agent" or "--image-gc" when i + 1 < arguments.Count:
                    values[arguments[i]] = arguments[++i];
                    break;
                case "--data" or "--listen" or "--grpc-listen" or "--database" or "--cache" or "--samples" or "--agent" or "--image-gc":
                    errors.Add($"{arguments[i]} needs a value.");
                    break;
                default:
                    errors.Add($"Unknown argument '{arguments[i]}'. Known: --data DIR, --listen HOST:PORT, --grpc-listen HOST:PORT, --database CONNECTION, --cache DIR, --samples DIR, --agent FILE, --image-gc DAYS|off, --down.");
                    break;
            }
        }

        if (!values.TryGetValue("--data", out var data))
        {
            errors.Add("--data DIR is missing: the folder for database, blobs and machines.");
        }

        var listen = values.GetValueOrDefault("--listen", "localhost:8080");
        var colon = listen.LastIndexOf(':');
        if (colon < 1 || !ushort.TryParse(listen.AsSpan(colon + 1), out var port) || port == 0)
        {
            errors.Add($"--listen '{listen}' is not HOST:PORT, for example localhost:8080 or 0.0.0.0:80.");
        }

        var grpc = values.GetValueOrDefault("--grpc-listen");
        if (grpc is not null && !GrpcServer.TryParse(grpc, out _))
        {
            errors.Add($"--grpc-listen '{grpc}' is not HOST:PORT with 'localhost' or an IP address, for example localhost:9090.");
        }
        else if (grpc == listen)
        {
            errors.Add($"--grpc-listen and --listen are both '{listen}'; gRPC needs a port of its own.");
        }

        var collect = values.GetValueOrDefault("--image-gc") ?? NullIfEmpty(environment("BYTEPORT_IMAGE_GC")) ?? "7";
        if (collect != "off" && !(int.TryParse(collect, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var days) && days is >= 1 and <= 3650))
        {
            errors.Add($"--image-gc (or BYTEPORT_IMAGE_GC) is '{collect}'; it must be 'off', or the number of days, 1 to 3650, after which an image that nothing needs is removed.");
        }

        var containers = NullIfEmpty(environment("BYTEPORT_CONTAINERS")) ?? "administrators";
        if (containers is not ("administrators" or "all"))
        {
            errors.Add($"BYTEPORT_CONTAINERS is '{containers}'; it must be 'administrators' or 'all': who may start machines that share the computer's kernel.");
        }

        var nested = NullIfEmpty(environment("BYTEPORT_NESTED_VIRTUALIZATION")) ?? "administrators";
        if (nested is not ("administrators" or "all"))
        {
            errors.Add($"BYTEPORT_NESTED_VIRTUALIZATION is '{nested}'; it must be 'administrators' or 'all': who may let guests run machines themselves.");
        }

        var limits = MachineLimit.ReadAll((environment("BYTEPORT_MACHINE_LIMITS") ?? "").Split([' ', ','], StringSplitOptions.RemoveEmptyEntries), out var limitError);
        if (limitError is not null)
        {
            errors.Add($"BYTEPORT_MACHINE_LIMITS: {limitError}");
        }

        var agent = values.GetValueOrDefault("--agent") ?? environment("BYTEPORT_AGENT") ?? Path.Combine(AppContext.BaseDirectory, "nanovms-agent");
        if (errors.Count > 0)
        {
            throw new ServerOptionsException(string.Join(Environment.NewLine, errors));
        }

        return new ServerOptions
        {
            DataFolder = Path.GetFullPath(data!),
            Listen = listen,
            GrpcListen = grpc,
            Database = NullIfEmpty(values.GetValueOrDefault("--database") ?? environment("BYTEPORT_DATABASE")),
            CacheFolder = Path.GetFullPath(values.GetValueOrDefault("--cache") ?? environment("BYTEPORT_CACHE") ?? "/var/cache/byteport"),
            SamplesFolder = values.TryGetValue("--samples", out var samples) ? Path.GetFullPath(samples) : null,
            AgentPath = Path.GetFullPath(agent),
            CollectAfter = collect == "off" ? null : TimeSpan.FromDays(int.Parse(collect, System.Globalization.CultureInfo.InvariantCulture)),
            ContainersForAll = containers == "all",
            NestedForAll = nested == "all",
            MachineLimits = limits.Or(DefaultLimits),
            Down = down,
        };
    }

    private static string? NullIfEmpty(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}

/// <summary>The command line cannot be used; the message lists every mistake, one a line.</summary>
internal sealed class ServerOptionsException(string message) : Exception(message);

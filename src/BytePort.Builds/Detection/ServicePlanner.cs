using System.Text.RegularExpressions;
using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Makes the plan of one service: what the manifest says, and for the rest what the files say.</summary>
internal static partial class ServicePlanner
{
    /// <param name="isDeclared">False when the service was not declared in the manifest: its name is chosen by its kind.</param>
    /// <exception cref="DetectionException">The folder is missing, or nothing says how to serve it.</exception>
    public static ServicePlan Plan(ServiceManifest service, string root, bool isDeclared, List<string> notes)
    {
        var path = service.Path is "." ? "" : service.Path.Trim('/');
        var directory = Path.Combine(root, path);
        if (!Directory.Exists(directory))
            throw new DetectionException(
                DetectionErrors.Invalid, [$"services.{service.Name}: the folder '{path}' is not in the source."]);

        var folder = new ServiceFolder(directory);
        var isStatic = service.Kind == ServiceKind.Static || (service.Kind is null && service.Start is null && (service.Output ?? (service.Spa is null ? null : "")) is not null);
        var detected = Detect(folder, service, path, isStatic);
        var kind = service.Kind ?? (service.Start is not null ? ServiceKind.Web : isStatic ? ServiceKind.Static : detected?.Kind);
        if (kind is null)
            throw new DetectionException(DetectionErrors.Nothing, [Nothing(service, path, folder, isDeclared)]);

        var name = service.Name.Length > 0 ? service.Name : kind == ServiceKind.Static ? "site" : "web";
        var prefix = isDeclared || service.Start is not null ? $"{name}: " : "";
        notes.AddRange((detected?.Notes ?? []).Select(note => prefix + note));

        var build = service.Build ?? detected?.BuildCommand;
        var plan = new ServicePlan
        {
            Name = name,
            Kind = kind.Value,
            Path = path,
            Stack = Stack(service, detected),
            InstallCommand = Install(service, detected, kind.Value, build),
            BuildCommand = build,
            PruneCommand = kind == ServiceKind.Static || build is null ? null : detected?.PruneCommand,
            ReleaseCommand = service.Release,
            Routes = service.Routes,
            HealthPath = service.Health,
            Size = service.Size ?? MachineSize.Tier1,
            Port = service.Port,
            Scale = service.Scale,
            Volumes = service.Volumes,
            Schedule = service.Schedule,
            Environment = service.Environment,
        };
        return kind == ServiceKind.Static ? PlanStatic(plan, service, detected, prefix, notes) : PlanProcess(plan, service, detected, path);
    }

    private static ServicePlan PlanStatic(ServicePlan plan, ServiceManifest service, Detected? detected, string prefix, List<string> notes)
    {
        // A build that is not wanted is not run: plain files beside a package.json of tools, for example.
        var output = service.Output is { } given ? Trim(given) : detected?.Kind == ServiceKind.Static ? detected.Output ?? "" : "";
        if (plan.BuildCommand is null && plan.InstallCommand is not null && service.Install is null)
            plan = plan with { InstallCommand = null };
        if (!plan.NeedsMachine)
            plan = plan with { Stack = null };
        else if (plan.Stack is null)
            plan = plan with { Stack = $"node@{NodeVersion.Default}" };
        if (service.Output is not null)
            notes.Add($"{prefix}Static files in '{output}' because the manifest says so.");
        return plan with { Output = output, Spa = service.Spa ?? detected?.Spa ?? false };
    }

    private static ServicePlan PlanProcess(ServicePlan plan, ServiceManifest service, Detected? detected, string path)
    {
        var start = service.Start ?? detected?.StartCommand;
        if (start is null)
            throw new DetectionException(
                DetectionErrors.Invalid,
                [$"services.{plan.Name}: nothing says how to start it{In(path)}. Add start to byteport.yaml, or a start script to package.json."]);
        return plan.Stack is null
            ? throw new DetectionException(
                DetectionErrors.Invalid,
                [$"services.{plan.Name}: nothing says what it runs on{In(path)}. Add runtime to byteport.yaml, for example node@22 or python@3."])
            : plan with { StartCommand = start };
    }

    private static Detected? Detect(ServiceFolder folder, ServiceManifest service, string path, bool isStatic)
    {
        var isStartGiven = service.Start is not null;
        var where = path.Length > 0 ? path + "/" : "";
        if (!isStatic && service.Runtime?.StartsWith("python", StringComparison.Ordinal) == true)
            return PythonDetection.Detect(folder, isStartGiven);
        var node = NodeDetection.Detect(folder, where, isStartGiven, isStatic);
        if (node is not null || service.Runtime?.StartsWith("node", StringComparison.Ordinal) == true)
            return node;
        if (!isStatic && PythonDetection.Detect(folder, isStartGiven) is { } python)
            return python;
        if (folder.Has("index.html"))
            return new Detected { Kind = ServiceKind.Static, Output = "", Notes = ["Static files because there is an index.html and nothing to build."] };
        return folder.Has("public/index.html")
            ? new Detected { Kind = ServiceKind.Static, Output = "public", Notes = ["Static files in 'public' because there is a public/index.html and nothing to build."] }
            : null;
    }

    private static string? Stack(ServiceManifest service, Detected? detected)
    {
        if (service.Runtime is not { } runtime)
            return detected?.Stack;
        if (runtime.Contains('@', StringComparison.Ordinal))
            return runtime;
        // Without a version: the one that the files ask for, else the default.
        return detected?.Stack is { } stack && stack.StartsWith(runtime + "@", StringComparison.Ordinal) ? stack
            : runtime == "node" ? $"node@{NodeVersion.Default}"
            : runtime == "python" ? PythonDetection.Stack
            : runtime;
    }

    private static string? Install(ServiceManifest service, Detected? detected, ServiceKind kind, string? build)
    {
        if (service.Install is not null)
            return service.Install;
        if (service.Build is not null && InstallsItself().IsMatch(service.Build))
            return null;
        return kind != ServiceKind.Static && build is null ? detected?.InstallForRunCommand : detected?.InstallCommand;
    }

    private static string Nothing(ServiceManifest service, string path, ServiceFolder folder, bool isDeclared)
    {
        var names = folder.Names().Where(name => !name.StartsWith('.')).ToList();
        var seen = names.Count == 0 ? "the folder is empty" : $"there are {string.Join(", ", names.Take(10))}{(names.Count > 10 ? ", …" : "")}";
        var known = names.FirstOrDefault(name => name is "Dockerfile" or "go.mod" or "Cargo.toml" or "composer.json" or "Gemfile" or "pom.xml" || name.EndsWith(".csproj", StringComparison.Ordinal));
        var who = isDeclared ? $"services.{service.Name}: cannot tell" : "Cannot tell";
        return $"{who} what this is{In(path)}: looked for index.html, public/index.html, package.json with a build or start script or a server.js, "
            + $"and Python's requirements.txt, pyproject.toml, app.py, main.py or manage.py; {seen}. "
            + (known is null ? "Add one of them, or a byteport.yaml with runtime and start." : $"Projects with a {known} are not supported yet.");
    }

    private static string In(string path) => path.Length > 0 ? $" in '{path}'" : "";

    private static string Trim(string output)
    {
        var trimmed = output.StartsWith("./", StringComparison.Ordinal) ? output[2..] : output;
        return trimmed.TrimEnd('/') is "." ? "" : trimmed.TrimEnd('/');
    }

    [GeneratedRegex(@"\b(npm (ci|i|install)\b|pnpm (i|install)\b|yarn( install)?\s*($|&&|;)|pip3? install\b|pipenv install\b)")]
    private static partial Regex InstallsItself();
}

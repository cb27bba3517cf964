namespace BytePort.Manifest.Shapes;

/// <summary>What must hold between the keys of a service, and between services.</summary>
internal static class ServiceRules
{
    private static readonly Dictionary<string, string[]> Forbidden = new()
    {
        ["static"] = ["start", "release", "health", "port", "scale", "volumes", "schedule", "size"],
        ["web"] = ["spa", "schedule"],
        ["worker"] = ["spa", "routes", "health", "port", "schedule"],
        ["cron"] = ["spa", "routes", "health", "port", "scale"],
    };

    public static void Check(IReadOnlyList<Pair> services, ErrorList errors)
    {
        var routes = new Dictionary<string, string>();
        foreach (var service in services)
        {
            var pairs = (Pairs)service.Value;
            CheckKind(service, pairs, errors);
            CheckRoutes(service.Key, pairs, routes, errors);
            CheckScale(service.Key, pairs, errors);
            CheckVolumes(service.Key, pairs, errors);
        }
    }

    private static void CheckKind(Pair service, Pairs pairs, ErrorList errors)
    {
        if (pairs.Refused.Contains("kind"))
            return;
        var kind = pairs.Get<string>("kind");
        if (kind is not null)
        {
            foreach (var pair in pairs.All.Where(pair => Forbidden[kind].Contains(pair.Key)))
                errors.Add(pair.KeyLocation, $"services.{service.Key} is of kind {kind} and cannot have \"{pair.Key}\".", "Remove it, or change the kind.");
        }
        else if (pairs.All.FirstOrDefault(pair => pair.Key == "schedule") is { } schedule)
            errors.Add(schedule.KeyLocation, $"services.{service.Key} has a schedule but is not of kind cron.", "Add kind: cron.");

        if (kind == "cron" && pairs.Find<Leaf>("schedule") is null && !pairs.Refused.Contains("schedule"))
            errors.Add(service.KeyLocation, $"services.{service.Key} is of kind cron and needs \"schedule\".", "Write for example schedule: \"0 3 * * *\".");
        if (kind is null && pairs.All.FirstOrDefault(pair => pair.Key == "spa") is { } spa && pairs.Find<Leaf>("start") is not null)
            errors.Add(spa.KeyLocation, $"services.{service.Key} has both \"spa\" and \"start\".", "spa is for static sites, start for processes: remove one.");
    }

    private static void CheckRoutes(string service, Pairs pairs, Dictionary<string, string> owners, ErrorList errors)
    {
        foreach (var route in (pairs.Find<Items>("routes")?.All ?? []).OfType<Leaf>())
        {
            var path = (string)route.Content;
            if (!owners.TryAdd(path, service))
                errors.Add(route.Location, $"The route {path} of services.{service} already belongs to services.{owners[path]}.", "Each route has one service.");
        }
    }

    private static void CheckScale(string service, Pairs pairs, ErrorList errors)
    {
        if (pairs.Find<Pairs>("scale") is { } scale
            && scale.GetValue<int>("min") is { } min && scale.GetValue<int>("max") is { } max && min > max)
            errors.Add(scale.Location, $"services.{service}.scale has min {min} above max {max}.", "Make min at most max.");
    }

    private static void CheckVolumes(string service, Pairs pairs, ErrorList errors)
    {
        var volumes = (pairs.Find<Items>("volumes")?.All ?? []).OfType<Pairs>().ToList();
        foreach (var key in (string[])["name", "path"])
        {
            foreach (var same in volumes.GroupBy(volume => volume.Get<string>(key)).Where(group => group.Key is not null && group.Count() > 1))
                errors.Add(same.Last().Location, $"services.{service} has two volumes with the {key} {same.Key}.", $"Give each its own {key}.");
        }
    }
}

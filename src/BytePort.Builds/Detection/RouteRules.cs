using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Gives every service that answers requests its routes.</summary>
internal static class RouteRules
{
    /// <summary>
    /// Services without routes: the first static one, else the first web one, gets <c>/</c> when nobody has it; the
    /// others get their name.
    /// </summary>
    /// <exception cref="DetectionException">Two services claim the same route.</exception>
    public static IReadOnlyList<ServicePlan> Assign(IReadOnlyList<ServicePlan> services, List<string> notes)
    {
        var open = services.Where(Answers).Where(service => service.Routes.Count == 0).ToList();
        var root = services.Any(service => service.Routes.Contains("/"))
            ? null
            : open.FirstOrDefault(service => service.Kind == ServiceKind.Static) ?? open.FirstOrDefault();
        var assigned = services.Select(service =>
        {
            if (!open.Contains(service))
                return Answers(service) ? service : service with { Routes = [] };
            var route = ReferenceEquals(service, root) ? "/" : "/" + service.Name;
            if (services.Count > 1)
                notes.Add($"{service.Name}: reached at {route} because it has no routes of its own.");
            return service with { Routes = [route] };
        }).ToList();

        var clashes = assigned
            .SelectMany(service => service.Routes.Select(route => (Route: route, service.Name)))
            .GroupBy(pair => pair.Route, StringComparer.Ordinal)
            .Where(group => group.Count() > 1)
            .Select(group => $"The route {group.Key} belongs to {string.Join(" and ", group.Select(pair => pair.Name))}. Give each its own routes in byteport.yaml.")
            .ToList();
        return clashes.Count > 0 ? throw new DetectionException(DetectionErrors.Invalid, clashes) : assigned;
    }

    private static bool Answers(ServicePlan service) => service.Kind is ServiceKind.Static or ServiceKind.Web;
}

using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Finds out what a source tree is: byteport.yaml first, gaps filled from the files.</summary>
public static class Detector
{
    /// <param name="directory">The root of checked source (see <see cref="Sources.SourceFetcher"/>).</param>
    /// <exception cref="DetectionException">The manifest is wrong, or nothing known was found.</exception>
    public static ProjectPlan Detect(string directory)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        var root = new ServiceFolder(directory);
        var notes = new List<string>();
        var errors = new List<string>();
        var manifest = ReadManifest(root, errors) ?? new ProjectManifest();
        if (errors.Count > 0)
            throw new DetectionException(DetectionErrors.Invalid, errors);

        var code = DetectionErrors.Nothing;
        var services = new List<ServicePlan>();
        foreach (var service in manifest.Services.Count > 0 ? manifest.Services : Undeclared(root, errors))
        {
            try
            {
                services.Add(ServicePlanner.Plan(service, directory, isDeclared: manifest.Services.Count > 0, notes));
            }
            catch (DetectionException e)
            {
                code = e.Code;
                errors.AddRange(e.Errors);
            }
        }

        if (errors.Count > 0)
            throw new DetectionException(code, errors);
        return new ProjectPlan { Name = manifest.Name, Services = RouteRules.Assign(services, notes), Notes = notes };
    }

    private static ProjectManifest? ReadManifest(ServiceFolder root, List<string> errors)
    {
        if (root.FirstOf([.. ProjectManifest.FileNames]) is not { } name)
            return null;
        if (root.Read(name) is not { } text)
        {
            errors.Add($"{name}: the file is larger than {ManifestReader.MaxBytes / 1024} KiB.");
            return null;
        }

        var result = ManifestReader.Read(text, name);
        errors.AddRange(result.Errors.Select(error => error.ToString()));
        return result.Manifest;
    }

    /// <summary>Without declared services: those of a Procfile, else one.</summary>
    private static List<ServiceManifest> Undeclared(ServiceFolder root, List<string> errors)
    {
        if (root.Read(Procfile.FileName) is not { } text)
            return [new ServiceManifest { Name = "" }];
        var procfile = Procfile.Read(text);
        errors.AddRange(procfile.Errors.Select(error => error.ToString()));
        var release = procfile.Entries.FirstOrDefault(entry => entry.Name == "release")?.Command;
        var services = procfile.Entries
            .Where(entry => entry.Name != "release")
            .Select(entry => new ServiceManifest
            {
                Name = entry.Name.ToLowerInvariant().Replace('_', '-'),
                Kind = entry.Name == "web" ? ServiceKind.Web : ServiceKind.Worker,
                Start = entry.Command,
                Release = entry.Name == "web" ? release : null,
            })
            .ToList();
        return services.Count > 0 ? services : [new ServiceManifest { Name = "" }];
    }
}

using BytePort.Builds.Blobs;
using BytePort.Builds.Detection;
using BytePort.Builds.Logs;
using BytePort.Builds.Sources;
using Microsoft.Extensions.Logging;
using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>Builds a service: static files as they are, everything else in a machine of its own.</summary>
public sealed class ServiceBuilder(
    MachineHost machines, ImageStore images, BlobStore blobs, string workFolder, TimeProvider time, ILogger<ServiceBuilder> logger)
{
    /// <summary>
    /// A key that is equal for builds that give an equal artifact: same plan, same source, same variables. Lower-case
    /// hexadecimal SHA-256.
    /// </summary>
    public static string CacheKey(ServicePlan plan, string sourceDigest, IReadOnlyDictionary<string, string> variables) =>
        throw new NotSupportedException($"{plan}{sourceDigest}{variables}");

    /// <param name="variables">The project's variables: in the environment of the install and build commands.</param>
    /// <exception cref="BuildException">The build failed; see its code.</exception>
    /// <exception cref="OperationCanceledException">Canceled: the machine is gone and nothing is kept.</exception>
    public Task<Artifact> BuildAsync(
        ServicePlan plan,
        FetchedSource source,
        BuildLimits limits,
        IReadOnlyDictionary<string, string> variables,
        BuildLog log,
        CancellationToken cancellationToken) =>
        throw new NotSupportedException($"{machines}{images}{blobs}{workFolder}{time}{logger}");
}

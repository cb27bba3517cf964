using System.Security.Cryptography;
using System.Text.Json;
using BytePort.Builds.Detection;

namespace BytePort.Builds.Services;

/// <summary>What two builds must have in common to give the same artifact.</summary>
internal static class CacheKeys
{
    // Raised when this code makes other artifacts of the same input.
    private const int Version = 1;

    public static string Of(ServicePlan plan, string sourceDigest, IReadOnlyDictionary<string, string> variables)
    {
        // Only what a build reads: a new size, route or health path does not need one.
        var parts = new object?[]
        {
            Version, sourceDigest, plan.Kind.ToString(), plan.Path, plan.Stack, plan.InstallCommand, plan.BuildCommand,
            plan.PruneCommand, plan.StartCommand, plan.Output, plan.Spa, Sorted(plan.Environment), Sorted(variables),
        };
        return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(parts)));
    }

    private static string[][] Sorted(IReadOnlyDictionary<string, string> variables) =>
        [.. variables.OrderBy(variable => variable.Key, StringComparer.Ordinal).Select(variable => new[] { variable.Key, variable.Value })];
}

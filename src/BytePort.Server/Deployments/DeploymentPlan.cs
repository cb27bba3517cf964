using System.Text.Json;
using BytePort.Builds.Detection;
using BytePort.Builds.Services;
using BytePort.Server.Api;

namespace BytePort.Server.Deployments;

/// <summary>What a deployment consists of: kept with it, so that an activation years later needs nothing else.</summary>
internal sealed record DeploymentPlan(IReadOnlyList<PlannedService> Services)
{
    public static readonly JsonSerializerOptions Json = CreateJson();

    public static DeploymentPlan Parse(string json) => JsonSerializer.Deserialize<DeploymentPlan>(json, Json)!;

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    private static JsonSerializerOptions CreateJson()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            // jsonb orders keys by length, so the kind of an artifact may come after its members.
            AllowOutOfOrderMetadataProperties = true,
        };
        ApiJson.Configure(options);
        return options;
    }
}

/// <summary>One service and, once built, its artifact.</summary>
internal sealed record PlannedService(ServicePlan Plan, Artifact? Artifact);

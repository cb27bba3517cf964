using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace BytePort.Server.Health;

internal static class HealthEndpoints
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/api/v1/info", (ServerOptions options) => new PlatformInfo("BytePort", Version, options.AppDomain, options.Url.ToString().TrimEnd('/')))
            .WithName("info").WithTags("platform").WithSummary("Which platform this is");
        app.MapGet("/healthz", () => TypedResults.Text("ok")).WithName("healthz").WithTags("platform").WithSummary("The process answers");
        app.MapGet("/readyz", ReadyAsync).WithName("readyz").WithTags("platform").WithSummary("The platform can take work")
            .Produces<string>(contentType: "text/plain").ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    public static string Version => typeof(HealthEndpoints).Assembly.GetName().Version!.ToString(3);

    private static async Task<IResult> ReadyAsync(PlatformDb db, CancellationToken cancellationToken)
    {
        try
        {
            await db.Database.ExecuteSqlRawAsync("SELECT 1", cancellationToken);
            return TypedResults.Text("ready");
        }
        catch (Exception exception) when (exception is NpgsqlException or InvalidOperationException)
        {
            return Problems.Create(StatusCodes.Status503ServiceUnavailable, "database_away", "Not ready", "The database does not answer.");
        }
    }

    internal sealed record PlatformInfo(string Name, string Version, string AppDomain, string Url);
}

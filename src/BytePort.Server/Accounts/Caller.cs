using System.Security.Claims;

namespace BytePort.Server.Accounts;

/// <summary>Who asks, and the team whose things they may see. Bound from the request; every query takes its <see cref="TeamId"/>.</summary>
internal sealed record Caller(Guid UserId, Guid TeamId)
{
    public const string TeamClaim = "team";

    public static ValueTask<Caller?> BindAsync(HttpContext context)
        => ValueTask.FromResult<Caller?>(new Caller(
            Guid.Parse(context.User.FindFirstValue(ClaimTypes.NameIdentifier)!),
            Guid.Parse(context.User.FindFirstValue(TeamClaim)!)));
}

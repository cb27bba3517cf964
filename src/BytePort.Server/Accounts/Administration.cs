using BytePort.Server.Api;
using BytePort.Server.Database;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Accounts;

/// <summary>What concerns the whole platform, and not one team, is the administrators'.</summary>
internal static class Administration
{
    public static Task<bool> IsAdministratorAsync(this PlatformDb db, Caller caller, CancellationToken cancellationToken) =>
        db.Users.AnyAsync(user => user.Id == caller.UserId && user.IsAdministrator, cancellationToken);

    /// <summary>Answers everybody else with 403.</summary>
    public static RouteHandlerBuilder RequireAdministrator(this RouteHandlerBuilder builder) =>
        builder.ProducesProblem(StatusCodes.Status403Forbidden).AddEndpointFilter(async (context, next) =>
        {
            var http = context.HttpContext;
            var caller = (await Caller.BindAsync(http))!;
            return await http.RequestServices.GetRequiredService<PlatformDb>().IsAdministratorAsync(caller, http.RequestAborted)
                ? await next(context)
                : Problems.Create(StatusCodes.Status403Forbidden, "administrator_required", "Not allowed", "This concerns the whole platform: only an administrator may do it.");
        });
}

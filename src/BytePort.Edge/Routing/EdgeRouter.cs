using BytePort.Edge.Errors;
using BytePort.Edge.Listening.Loops;
using BytePort.Edge.Proxying;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge.Routing;

/// <summary>Finds what answers a request and lets it.</summary>
internal sealed class EdgeRouter(EdgeHost edge, StaticHandler files, ProxyHandler proxy)
{
    /// <returns>Null when the host is in no route table: the request is somebody else's.</returns>
    public Task? TryHandle(HttpContext context)
    {
        var snapshot = edge.Current;
        var site = snapshot.Table.Find(context.Request.Host.Value ?? "");
        if (site is null)
            return null;
        var route = site.Match(context.Request.Path.Value ?? "");
        return route?.Target switch
        {
            StaticTarget target => files.HandleAsync(context, target.Site, route.Prefix.Length),
            ProxyTarget target => ProxyAsync(context, snapshot, target),
            UnavailableTarget target => ErrorPage.WriteAsync(context, target.Status, target.Reason),
            _ => ErrorPage.WriteAsync(context, StatusCodes.Status404NotFound, "There is nothing at this address."),
        };
    }

    private async Task ProxyAsync(HttpContext context, EdgeSnapshot snapshot, ProxyTarget target)
    {
        if (context.Features.Get<LoopConnection>() is { } connection)
            await connection.LeaveAsync();
        if (!await proxy.TryHandleAsync(context, edge, snapshot, target).ConfigureAwait(false))
        {
            if (TryHandle(context) is { } again)
                await again.ConfigureAwait(false);
            else
                await ErrorPage.WriteAsync(context, StatusCodes.Status404NotFound, "There is nothing at this address.").ConfigureAwait(false);
        }
    }
}

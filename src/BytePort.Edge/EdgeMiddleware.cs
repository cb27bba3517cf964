using BytePort.Edge.Errors;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge;

/// <summary>Answers requests for the hosts of the route table; all others go on to the next middleware.</summary>
internal sealed class EdgeMiddleware(RequestDelegate next, EdgeHost edge, StaticHandler files, ProxyHandler proxy)
{
    public Task InvokeAsync(HttpContext context)
    {
        var snapshot = edge.Current;
        var site = snapshot.Table.Find(context.Request.Host.Value ?? "");
        if (site is null)
            return next(context);
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
        if (!await proxy.TryHandleAsync(context, edge, snapshot, target).ConfigureAwait(false))
            await InvokeAsync(context).ConfigureAwait(false);
    }
}

using BytePort.Edge.Errors;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge;

/// <summary>Answers requests for the hosts of the route table; all others go on to the next middleware.</summary>
internal sealed class EdgeMiddleware(RequestDelegate next, EdgeHost edge, ProxyHandler proxy)
{
    public async Task InvokeAsync(HttpContext context)
    {
        while (true)
        {
            var snapshot = edge.Current;
            var site = snapshot.Table.Find(context.Request.Host.Value ?? "");
            if (site is null)
            {
                await next(context).ConfigureAwait(false);
                return;
            }

            switch (site.Match(context.Request.Path.Value ?? "/"))
            {
                case ProxyTarget target:
                    if (await proxy.TryHandleAsync(context, edge, snapshot, target).ConfigureAwait(false))
                        return;
                    break;
                case UnavailableTarget target:
                    await ErrorPage.WriteAsync(context, target.Status, target.Reason).ConfigureAwait(false);
                    return;
                default:
                    await ErrorPage.WriteAsync(context, StatusCodes.Status404NotFound, "There is nothing at this address.").ConfigureAwait(false);
                    return;
            }
        }
    }
}

using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Http;

namespace BytePort.Edge;

/// <summary>Answers requests for the hosts of the route table; all others go on to the next middleware.</summary>
internal sealed class EdgeMiddleware(RequestDelegate next, EdgeRouter router)
{
    public Task InvokeAsync(HttpContext context) => router.TryHandle(context) ?? next(context);
}

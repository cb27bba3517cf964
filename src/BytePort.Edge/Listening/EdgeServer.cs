using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;

namespace BytePort.Edge.Listening;

/// <summary>
/// Stands between Kestrel and the application. Requests for the edge's hosts never reach the host's pipeline, whose
/// logging scope, activity and service scope for every request cost as much as a small file's whole answer.
/// </summary>
internal sealed class EdgeServer(IServer kestrel, EdgeRouter router) : IServer
{
    public IFeatureCollection Features => kestrel.Features;

    public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
        where TContext : notnull => kestrel.StartAsync(new EdgeApplication<TContext>(application, router), cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => kestrel.StopAsync(cancellationToken);

    public void Dispose() => kestrel.Dispose();
}

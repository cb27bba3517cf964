using BytePort.Edge.Listening.Loops;
using BytePort.Edge.Routing;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace BytePort.Edge.Listening;

/// <summary>Answers what the edge serves and leaves all else to the application behind it.</summary>
internal sealed class EdgeApplication<TInner>(IHttpApplication<TInner> inner, EdgeRouter router) : IHttpApplication<EdgeApplication<TInner>.Exchange>
    where TInner : notnull
{
    public Exchange CreateContext(IFeatureCollection contextFeatures)
    {
        // Kestrel keeps one exchange for each connection, so that requests on it allocate none.
        if (contextFeatures is not IHostContextContainer<Exchange> container)
            return new Exchange(contextFeatures);
        var exchange = container.HostContext ??= new Exchange(contextFeatures);
        exchange.Http.Initialize(contextFeatures);
        return exchange;
    }

    public Task ProcessRequestAsync(Exchange context) => router.TryHandle(context.Http) ?? ProcessInnerAsync(context);

    public void DisposeContext(Exchange context, Exception? exception)
    {
        if (context.HasInner)
        {
            inner.DisposeContext(context.Inner!, exception);
            context.HasInner = false;
            context.Inner = default;
        }

        context.Http.Uninitialize();
        context.Connection?.Rejoin();
    }

    private async Task ProcessInnerAsync(Exchange context)
    {
        if (context.Connection is { } connection)
            await connection.LeaveAsync();
        context.Inner = inner.CreateContext(context.Http.Features);
        context.HasInner = true;
        await inner.ProcessRequestAsync(context.Inner).ConfigureAwait(false);
    }

    /// <summary>One request and its answer; used again for the next one on the connection.</summary>
    internal sealed class Exchange(IFeatureCollection features)
    {
        public DefaultHttpContext Http { get; } = new(features);

        public LoopConnection? Connection { get; } = features.Get<LoopConnection>();

        public bool HasInner { get; set; }

        public TInner? Inner { get; set; }
    }
}

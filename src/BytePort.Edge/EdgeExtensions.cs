using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace BytePort.Edge;

/// <summary>Puts the edge into an ASP.NET Core host.</summary>
public static class EdgeExtensions
{
    /// <summary>Registers <see cref="EdgeHost"/> and what it needs.</summary>
    public static IServiceCollection AddBytePortEdge(this IServiceCollection services, Action<EdgeOptions>? configure = null)
    {
        services.AddHttpForwarder();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<EdgeHost>();
        services.TryAddSingleton<BlobCache>();
        services.TryAddSingleton<StaticHandler>();
        services.TryAddSingleton<ProxyHandler>();
        services.TryAddSingleton<EdgeRouter>();
        if (configure is not null)
            services.Configure(configure);
        return services;
    }

    /// <summary>
    /// Answers requests for the hosts of the route table. Put it first: what comes after sees only unknown hosts (the API
    /// and the dashboard).
    /// </summary>
    public static IApplicationBuilder UseBytePortEdge(this IApplicationBuilder app) => app.UseMiddleware<EdgeMiddleware>();
}

using System.Globalization;
using System.Security.Cryptography;
using BytePort.Edge;
using BytePort.Edge.Listening;
using BytePort.Edge.Proxying;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace BytePort.Bench.Edge;

/// <summary>Our contestant: the edge in a process of its own, set up as the server sets it up.</summary>
internal static class EdgeProcess
{
    public const string Verb = "edge-serve";

    /// <param name="arguments">Port, folder with the files, the upstream's port.</param>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var (port, folder, upstream) = (arguments[0], arguments[1], arguments[2]);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Yarp", LogLevel.Warning);
        builder.WebHost.UseBytePortEdgeListener().UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddBytePortEdge();
        await using var app = builder.Build();
        app.UseBytePortEdge();
        app.Run(context => context.Response.WriteAsync("not a host of the edge"));
        var files = Directory.EnumerateFiles(folder).Select(path => new StaticFile(
            Path.GetFileName(path), path, new FileInfo(path).Length, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path))), "text/html", false, []));
        app.Services.GetRequiredService<EdgeHost>().Update(new RouteTable(
        [
            new(EdgeBench.StaticHost, new SiteRoutes(new StaticTarget(new StaticSite(files, new StaticSiteOptions { LastModified = DateTimeOffset.UtcNow })))),
            new(EdgeBench.ProxyHost, new SiteRoutes(new ProxyTarget("bench/app", [new Upstream("app", new Uri($"http://127.0.0.1:{upstream}"))]))),
        ]));
        await app.RunAsync();
        return 0;
    }
}

using BytePort.Server.Accounts;
using BytePort.Server.Database;
using Microsoft.AspNetCore.Authentication;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Health;

/// <summary>The plain page at <c>/</c>: that the platform is up, how to deploy, and a signed-in team's projects.</summary>
internal static class FrontPage
{
    public static void MapFrontPage(this IEndpointRouteBuilder app) => app.MapGet("/", ShowAsync).ExcludeFromDescription();

    private static async Task<IResult> ShowAsync(HttpContext context, PlatformDb db, Hosting.ServerOptions options, CancellationToken cancellationToken)
    {
        var who = await context.AuthenticateAsync(TokenAuthentication.SchemeName);
        IReadOnlyList<(string Name, string Url)> projects = [];
        if (who.Succeeded)
        {
            var team = Guid.Parse(who.Principal.FindFirst(Caller.TeamClaim)!.Value);
            projects = (await db.Projects.AsNoTracking().Where(p => p.TeamId == team && p.DestroyedAt == null).OrderBy(p => p.Name).Select(p => p.Name).Take(200).ToListAsync(cancellationToken))
                .ConvertAll(name => (name, options.AppUrl(name).ToString()));
        }

        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return TypedResults.Text(Page(who.Succeeded, projects), "text/html; charset=utf-8");
    }

    private static string Page(bool signedIn, IReadOnlyList<(string Name, string Url)> projects)
    {
        // Project names hold only letters, digits and hyphens, so they need no escaping.
        var list = projects.Count == 0
            ? "<p>No projects yet.</p>"
            : "<ul>" + string.Concat(projects.Select(p => $"<li><a href=\"{p.Url}\">{p.Name}</a><span>{p.Url}</span></li>")) + "</ul>";
        var body = signedIn
            ? $"<h2>Your projects</h2>{list}"
            : "<p>Sign in with the link that <code>byteport up</code> printed; each start prints a new one.</p>";
        return $$"""
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>BytePort is up</title>
            <style>
              :root { color-scheme: light dark; --ink: #16181d; --soft: #626a78; --line: #e3e6eb; --ground: #fbfbfc; --accent: #2457d6 }
              @media (prefers-color-scheme: dark) { :root { --ink: #e9ebf0; --soft: #9aa2b1; --line: #2a2e37; --ground: #121419; --accent: #86a8ff } }
              body { margin: 0; font: 16px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--ground) }
              main { max-width: 40rem; margin: 14vh auto; padding: 0 1.5rem }
              h1 { font-size: 2rem; letter-spacing: -.02em; margin: 0 0 .25rem } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem }
              p { color: var(--soft) } a { color: var(--accent) }
              pre { padding: 1rem; border: 1px solid var(--line); border-radius: .6rem; overflow-x: auto }
              ul { list-style: none; margin: 0; padding: 0 } li { display: flex; gap: 1rem; justify-content: space-between; flex-wrap: wrap; padding: .6rem 0; border-top: 1px solid var(--line) }
              li span { color: var(--soft); font-size: .9rem }
              .up { display: inline-block; width: .6rem; height: .6rem; border-radius: 50%; background: #1f9d55; margin-right: .6rem; vertical-align: middle }
            </style>
            <main>
              <h1><span class="up"></span>BytePort is up</h1>
              <p>Version {{HealthEndpoints.Version}}. Deploy a folder, a zip or a Git repository:</p>
              <pre>byteport deploy ./my-app --project my-app</pre>
              {{body}}
            </main>
            """;
    }
}

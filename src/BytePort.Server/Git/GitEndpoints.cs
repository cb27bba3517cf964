using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using BytePort.Server.Api;
using Microsoft.AspNetCore.Http.Features;

namespace BytePort.Server.Git;

/// <summary>Serves the sample repositories by Git's smart HTTP protocol, read only, through <c>git http-backend</c> (CGI, RFC 3875).</summary>
internal static partial class GitEndpoints
{
    /// <summary>What a client sends to fetch: its wants and haves.</summary>
    private const long MaxRequestBytes = 1 << 20;

    private static readonly TimeSpan MaxTime = TimeSpan.FromMinutes(2);

    public static void MapGit(this IEndpointRouteBuilder app)
    {
        app.MapGet("/git/samples/{repository}/info/refs", (string repository, string? service, HttpContext context, SampleRepositories samples)
            => service == "git-upload-pack"
                ? RunAsync(repository, "info/refs", context, samples)
                : Task.FromResult<IResult>(Problems.Create(StatusCodes.Status403Forbidden, "git_read_only", "Read only", "The samples can be cloned, not pushed to."))).ExcludeFromDescription();
        app.MapPost("/git/samples/{repository}/git-upload-pack", (string repository, HttpContext context, SampleRepositories samples)
            => RunAsync(repository, "git-upload-pack", context, samples)).ExcludeFromDescription();
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,60}\\.git$")]
    private static partial Regex RepositoryName();

    private static async Task<IResult> RunAsync(string repository, string operation, HttpContext context, SampleRepositories samples)
    {
        if (!RepositoryName().IsMatch(repository) || !Directory.Exists(Path.Combine(samples.Root, repository)))
        {
            return Problems.NotFound("repository", repository);
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = MaxRequestBytes;
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        patience.CancelAfter(MaxTime);
        using var backend = Process.Start(StartInfo(repository, operation, context.Request, samples.Root))!;
        try
        {
            var errors = backend.StandardError.ReadToEndAsync(patience.Token);
            var sending = SendBodyAsync(context.Request.Body, backend, patience.Token);
            await CopyAnswerAsync(backend.StandardOutput.BaseStream, context.Response, patience.Token);
            await sending;
            await errors;
            await backend.WaitForExitAsync(patience.Token);
        }
        finally
        {
            if (!backend.HasExited)
            {
                backend.Kill(entireProcessTree: true);
            }
        }

        return TypedResults.Empty;
    }

    private static ProcessStartInfo StartInfo(string repository, string operation, HttpRequest request, string root)
    {
        var start = new ProcessStartInfo("git", ["http-backend"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
        start.Environment["GIT_CONFIG_NOSYSTEM"] = "1";
        start.Environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
        start.Environment["GIT_PROJECT_ROOT"] = root;
        start.Environment["GIT_HTTP_EXPORT_ALL"] = "1";
        start.Environment["PATH_INFO"] = $"/{repository}/{operation}";
        start.Environment["REQUEST_METHOD"] = request.Method;
        start.Environment["QUERY_STRING"] = operation == "info/refs" ? "service=git-upload-pack" : "";
        start.Environment["CONTENT_TYPE"] = request.ContentType ?? "";
        if (request.Headers.ContentEncoding.ToString() == "gzip")
        {
            start.Environment["HTTP_CONTENT_ENCODING"] = "gzip";
        }

        if (request.Headers["Git-Protocol"].ToString() is "version=1" or "version=2")
        {
            start.Environment["GIT_PROTOCOL"] = request.Headers["Git-Protocol"].ToString();
        }

        return start;
    }

    private static async Task SendBodyAsync(Stream body, Process backend, CancellationToken cancellationToken)
    {
        try
        {
            await body.CopyToAsync(backend.StandardInput.BaseStream, cancellationToken);
        }
        catch (IOException)
        {
            // The backend has read enough and closed its end; its answer says why.
        }
        finally
        {
            backend.StandardInput.Close();
        }
    }

    /// <summary>Turns the CGI answer (header lines, an empty line, the body) into an HTTP answer.</summary>
    private static async Task CopyAnswerAsync(Stream answer, HttpResponse response, CancellationToken cancellationToken)
    {
        var header = new List<byte>();
        var one = new byte[1];
        while (header.Count < 8192 && await answer.ReadAsync(one, cancellationToken) == 1)
        {
            header.Add(one[0]);
            if (header.Count >= 4 && header[^1] == '\n' && header[^2] == '\r' && header[^3] == '\n')
            {
                break;
            }
        }

        foreach (var line in System.Text.Encoding.ASCII.GetString([.. header]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = line.IndexOf(':', StringComparison.Ordinal) is var colon and > 0 ? (line[..colon], line[(colon + 1)..].Trim()) : (line, "");
            if (name.Equals("Status", StringComparison.OrdinalIgnoreCase))
            {
                response.StatusCode = int.Parse(value.AsSpan(0, 3), CultureInfo.InvariantCulture);
            }
            else if (name is "Content-Type" or "Cache-Control" or "Expires" or "Pragma")
            {
                response.Headers[name] = value;
            }
        }

        await answer.CopyToAsync(response.Body, cancellationToken);
    }
}

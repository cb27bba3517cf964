using System.Net;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Api;

/// <summary>The server could not be asked, or refused.</summary>
/// <param name="message">One line for people.</param>
/// <param name="status">Null when no answer came.</param>
/// <param name="code">The stable code of the problem, when the server gave one.</param>
internal sealed class ApiException(string message, HttpStatusCode? status, string? code = null, Exception? inner = null) : Exception(message, inner)
{
    public HttpStatusCode? Status => status;

    public string? Code => code;

    /// <summary>True: the same request may succeed a little later.</summary>
    public bool IsTransient => status is null or >= HttpStatusCode.InternalServerError or HttpStatusCode.RequestTimeout;

    public ExitCode ExitCode => status switch
    {
        null => ExitCode.Unreachable,
        HttpStatusCode.Unauthorized => ExitCode.NotSignedIn,
        HttpStatusCode.NotFound => ExitCode.NotFound,
        _ => ExitCode.Failed,
    };
}

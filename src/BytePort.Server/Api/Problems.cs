using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace BytePort.Server.Api;

/// <summary>Answers for what a caller did wrong, as problem details (RFC 9457) with a stable <c>code</c>.</summary>
internal static class Problems
{
    public static ProblemHttpResult Unauthorized()
        => Create(StatusCodes.Status401Unauthorized, "unauthorized", "Not signed in", "Send 'Authorization: Bearer TOKEN' with a valid token; 'byteport login' keeps one.");

    public static ProblemHttpResult NotFound(string what, object name)
        => Create(StatusCodes.Status404NotFound, what + "_not_found", "Not found", $"There is no {what} '{name}' in your team.");

    public static ProblemHttpResult Invalid(string code, string detail)
        => Create(StatusCodes.Status400BadRequest, code, "The request cannot be used", detail);

    public static ProblemHttpResult Conflict(string code, string detail)
        => Create(StatusCodes.Status409Conflict, code, "Not possible now", detail);

    public static ProblemHttpResult Gone(string code, string detail)
        => Create(StatusCodes.Status410Gone, code, "No longer valid", detail);

    public static ProblemHttpResult TooLarge(string code, string detail)
        => Create(StatusCodes.Status413PayloadTooLarge, code, "Too large", detail);

    public static ProblemHttpResult Create(int status, string code, string title, string detail)
        => TypedResults.Problem(new ProblemDetails { Status = status, Title = title, Detail = detail, Extensions = { ["code"] = code } });
}

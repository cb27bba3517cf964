using System.Security.Claims;
using System.Text.Encodings.Web;
using BytePort.Server.Api;
using BytePort.Server.Database;
using Microsoft.AspNetCore.Authentication;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace BytePort.Server.Accounts;

/// <summary>Accepts <c>Authorization: Bearer TOKEN</c>, or the session cookie that a sign-in link gave a browser.</summary>
internal sealed class TokenAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory loggers,
    UrlEncoder encoder,
    IDbContextFactory<PlatformDb> databases,
    TimeProvider time)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "token";

    public const string Cookie = "byteport_session";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        var fromCookie = false;
        string? secret;
        if (header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
        {
            secret = header["Bearer ".Length..].Trim();
        }
        else
        {
            secret = Request.Cookies[Cookie];
            fromCookie = true;
        }

        if (string.IsNullOrEmpty(secret) || secret.Length > 200)
        {
            return AuthenticateResult.NoResult();
        }

        // A browser sends its cookie along with any site's form; only requests that a foreign page cannot make may change things.
        if (fromCookie && !HttpMethods.IsGet(Request.Method) && !HttpMethods.IsHead(Request.Method)
            && Request.Headers["Sec-Fetch-Site"].ToString() != "same-origin")
        {
            return AuthenticateResult.Fail("A session cookie may change things only from the platform's own pages.");
        }

        var hash = Secret.Hash(secret);
        var now = time.GetUtcNow();
        await using var db = await databases.CreateDbContextAsync(Context.RequestAborted);
        var token = await db.Tokens.AsNoTracking()
            .Where(t => t.Hash == hash && t.Session == fromCookie && (t.ExpiresAt == null || t.ExpiresAt > now))
            .Select(t => new { t.UserId, t.TeamId })
            .FirstOrDefaultAsync(Context.RequestAborted);
        if (token is null)
        {
            return AuthenticateResult.Fail("Unknown or expired token.");
        }

        var identity = new ClaimsIdentity(
            [new Claim(ClaimTypes.NameIdentifier, token.UserId.ToString()), new Claim(Caller.TeamClaim, token.TeamId.ToString())],
            SchemeName);
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        return Problems.Unauthorized().ExecuteAsync(Context);
    }
}

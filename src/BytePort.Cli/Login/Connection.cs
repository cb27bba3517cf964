using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Login;

/// <summary>Which server a command speaks to: BYTEPORT_URL and BYTEPORT_TOKEN, else the login file, else this machine.</summary>
/// <param name="Server">The server's address, with a slash at its end.</param>
/// <param name="Token">Null when nothing is known for this server.</param>
/// <param name="Origin">Where the address comes from, for messages.</param>
internal sealed record Connection(Uri Server, string? Token, string Origin)
{
    private const string DefaultUrl = "http://localhost:8080";

    public static ApiClient Open(CliHost host)
    {
        var connection = Find(host);
        return new ApiClient(connection.Server, connection.Token);
    }

    public static Connection Find(CliHost host)
    {
        var file = LoginFile.DefaultPath(host);
        var url = host.Variable("BYTEPORT_URL");
        var token = host.Variable("BYTEPORT_TOKEN");
        if (!string.IsNullOrEmpty(url) && !string.IsNullOrEmpty(token))
            return new(ParseUrl(url, "BYTEPORT_URL"), token, "BYTEPORT_URL");

        var login = LoginFile.Read(file);
        var fromFile = ParseUrl(login?.Url ?? DefaultUrl, file);
        if (!string.IsNullOrEmpty(token))
            return new(fromFile, token, login is null ? "default" : file);
        if (string.IsNullOrEmpty(url))
            return new(fromFile, login?.Token, login is null ? "default" : file);

        // The file's token belongs to the file's server, and must not be shown to another one.
        var asked = ParseUrl(url, "BYTEPORT_URL");
        return new(asked, asked == fromFile ? login?.Token : null, "BYTEPORT_URL");
    }

    public static Uri ParseUrl(string text, string origin) =>
        Uri.TryCreate(text.EndsWith('/') ? text : $"{text}/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.UserInfo.Length == 0
            ? url
            : throw new CliException(ExitCode.Usage, $"\"{text}\" ({origin}) is not a server's address. Write it as http://localhost:8080 or https://HOST.");
}

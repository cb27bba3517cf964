using NanoVms.Commands;

namespace BytePort.Builds.Sources;

/// <summary>The git command lines: what they may do is fixed here, whatever the repository or the host's settings say.</summary>
internal sealed class GitCommands(string gitFolder, Uri url, TimeSpan timeout)
{
    // Read by git itself with the shell; it never changes, and the values travel in the environment.
    private const string CredentialHelper =
        "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"$BYTEPORT_GIT_USER\" \"$BYTEPORT_GIT_PASSWORD\"; }; f";

    private readonly string[] _userInfo = url.UserInfo.Split(':', 2);

    /// <summary>The URL without password, as git gets it. Only ssh needs the user in it.</summary>
    private string Remote =>
        url.Scheme == "ssh"
            ? url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped)
                .Replace("ssh://", _userInfo[0].Length > 0 ? $"ssh://{_userInfo[0]}@" : "ssh://", StringComparison.Ordinal)
            : url.GetComponents(UriComponents.SchemeAndServer | UriComponents.PathAndQuery, UriFormat.UriEscaped);

    public Command Init() => Git("init", "--quiet", "--bare", "--template=", gitFolder);

    public Command ListRemote(params string[] patterns) =>
        Git(["ls-remote", "--symref", "--", Remote, .. patterns]);

    /// <param name="what">A full ref name or a commit.</param>
    public Command FetchOne(string what) =>
        Git("fetch", "--progress", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", Remote, what);

    public Command FetchAll() =>
        Git("fetch", "--progress", "--tags", "--no-recurse-submodules", "--", Remote, "+refs/heads/*:refs/heads/*");

    public Command Resolve(string commit) => Git("rev-parse", "--verify", "--quiet", "--end-of-options", $"{commit}^{{commit}}");

    public Command Message(string commit) => Git("log", "-1", "--format=%B", "--no-show-signature", commit);

    public Command ListTree(string commit) => Git("ls-tree", "-r", "-l", "--full-tree", commit);

    public Command Checkout(string commit, string folder) =>
        Git($"--work-tree={folder}", "checkout", "--quiet", "--force", "--detach", commit);

    private Command Git(params string[] arguments)
    {
        var environment = new Dictionary<string, string>
        {
            ["GIT_ALLOW_PROTOCOL"] = "https:http:ssh",
            ["GIT_CONFIG_NOSYSTEM"] = "1",
            ["GIT_CONFIG_GLOBAL"] = "/dev/null",
            ["GIT_TERMINAL_PROMPT"] = "0",
            ["GIT_ASKPASS"] = "/bin/false",
            ["GIT_LFS_SKIP_SMUDGE"] = "1",
            ["GIT_HTTP_LOW_SPEED_LIMIT"] = "1000",
            ["GIT_HTTP_LOW_SPEED_TIME"] = "60",
            ["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=20",
            ["GIT_OPTIONAL_LOCKS"] = "0",
        };
        foreach (var proxy in (ReadOnlySpan<string>)["http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"])
            if (Environment.GetEnvironmentVariable(proxy) is { Length: > 0 } value)
                environment[proxy] = value;

        List<string> options =
        [
            $"--git-dir={gitFolder}",
            "-c", "core.hooksPath=/dev/null",
            "-c", "core.fsmonitor=false",
            "-c", "core.symlinks=true",
            "-c", "core.autocrlf=false",
            "-c", "core.quotePath=false",
            "-c", "core.protectHFS=true",
            "-c", "core.protectNTFS=true",
            "-c", "gc.auto=0",
            "-c", "maintenance.auto=false",
            "-c", "advice.detachedHead=false",
            "-c", "protocol.ext.allow=never",
            "-c", "protocol.file.allow=never",
            "-c", "submodule.recurse=false",
            "-c", "http.followRedirects=initial",
        ];
        if (url.Scheme != "ssh" && url.UserInfo.Length > 0)
        {
            // Bound to this server: a redirect elsewhere must not carry the password along.
            options.AddRange(["-c", $"credential.{url.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped)}.helper={CredentialHelper}"]);
            environment["BYTEPORT_GIT_USER"] = Uri.UnescapeDataString(_userInfo[0]);
            environment["BYTEPORT_GIT_PASSWORD"] = Uri.UnescapeDataString(_userInfo.Length > 1 ? _userInfo[1] : "");
        }

        return new Command("git", [.. options, .. arguments]) { Environment = environment, Timeout = timeout };
    }
}

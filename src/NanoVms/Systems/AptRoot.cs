using NanoVms.Commands;

namespace NanoVms.Systems;

/// <summary>Makes the root of a distribution of the Debian family, as one would find it installed: apt and its state stay.</summary>
internal static class AptRoot
{
    /// <summary>What people expect of a machine beyond what is essential.</summary>
    private const string Packages = "apt,ca-certificates,iproute2,procps,less,nano";

    public static Command Command(AptSource source, string folder)
    {
        List<string> arguments =
        [
            "--variant=minbase",
            $"--include={Packages}",
            $"--keyring={source.Keyring}",
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
            "--aptopt=Acquire::Retries \"3\"",
            "--dpkgopt=force-unsafe-io",
            "--format=directory",
            source.Suite,
            folder,
            Line(source.Mirror, source.Suite),
            Line(source.Mirror, $"{source.Suite}-updates"),
        ];
        if (source.Security is { } security)
            arguments.Add(Line(security, $"{source.Suite}-security"));
        var environment = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive" };
        foreach (var proxy in (ReadOnlySpan<string>)["http_proxy", "https_proxy", "no_proxy"])
        {
            if (Environment.GetEnvironmentVariable(proxy) is { Length: > 0 } value)
                environment[proxy] = value;
        }

        return new Command("mmdebstrap", arguments) { Timeout = TimeSpan.FromMinutes(20), Environment = environment };

        string Line(string mirror, string suite) => $"deb {mirror} {suite} {source.Components}";
    }
}

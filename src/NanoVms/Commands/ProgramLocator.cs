using System.Collections.Frozen;

namespace NanoVms.Commands;

/// <summary>Finds host programs and names the Debian package that brings one that is missing.</summary>
public static class ProgramLocator
{
    /// <summary>Search path of every command, whatever the caller's own is: sbin is often missing from a service's PATH.</summary>
    public const string SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private static readonly FrozenDictionary<string, string> Packages = new Dictionary<string, string>
    {
        ["apt-get"] = "apt",
        ["bridge"] = "iproute2",
        ["bwrap"] = "bubblewrap",
        ["cpio"] = "cpio",
        ["crun"] = "crun",
        ["depmod"] = "kmod",
        ["dnsmasq"] = "dnsmasq-base",
        ["dpkg"] = "dpkg",
        ["dpkg-deb"] = "dpkg",
        ["fsck.erofs"] = "erofs-utils",
        ["git"] = "git",
        ["ip"] = "iproute2",
        ["lz4"] = "lz4",
        ["mkfs.erofs"] = "erofs-utils",
        ["mkfs.ext4"] = "e2fsprogs",
        ["mke2fs"] = "e2fsprogs",
        ["e2fsck"] = "e2fsprogs",
        ["mmdebstrap"] = "mmdebstrap",
        ["modprobe"] = "kmod",
        ["nft"] = "nftables",
        ["nsenter"] = "util-linux",
        ["pasta"] = "passt",
        ["qemu-img"] = "qemu-utils",
        ["qemu-system-x86_64"] = "qemu-system-x86",
        ["setpriv"] = "util-linux",
        ["setsid"] = "util-linux",
        ["skopeo"] = "skopeo",
        ["ssh"] = "openssh-client",
        ["sysctl"] = "procps",
        ["tar"] = "tar",
        ["unshare"] = "util-linux",
        ["zstd"] = "zstd",
    }.ToFrozenDictionary();

    /// <summary>The absolute path of <paramref name="program"/>, or null when it is not installed.</summary>
    public static string? Find(string program)
    {
        ArgumentException.ThrowIfNullOrEmpty(program);
        if (program.Contains('/', StringComparison.Ordinal))
            return File.Exists(program) ? Path.GetFullPath(program) : null;

        var folders = $"{SearchPath}:{Environment.GetEnvironmentVariable("PATH")}";
        return folders
            .Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(Path.IsPathRooted)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);
    }

    /// <exception cref="CommandException">The program is not installed; the message names the package that brings it.</exception>
    public static string Require(string program) =>
        Find(program) ?? throw new CommandException(MissingMessage(program), program, CommandFailure.Missing);

    /// <summary>The Debian package that brings a program; where that is not known, its name.</summary>
    internal static string PackageOf(string program) => Packages.GetValueOrDefault(program, program);

    private static string MissingMessage(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal))
            return $"Cannot run '{program}': there is no such file.";
        return Packages.TryGetValue(program, out var package)
            ? $"Cannot run '{program}': it is not installed. Install it with: apt-get install {package}"
            : $"Cannot run '{program}': it is not in {SearchPath} nor in PATH. Install the package that brings it.";
    }
}

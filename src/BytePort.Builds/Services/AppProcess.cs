using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Builds.Services;

/// <summary>How commands of a service run in a machine: builds, releases and the service itself alike.</summary>
public static class AppProcess
{
    /// <summary>The unprivileged account <c>app</c> of every stack: user and group.</summary>
    public const uint User = 1000;

    /// <summary>The service's folder in a machine.</summary>
    public const string Folder = "/app";

    /// <summary>A shell command in the service's folder. The shell replaces itself, so that signals reach the program.</summary>
    /// <param name="environment">On top of the stack's own; values arrive exactly as given. Put <c>PORT</c> here for a web service.</param>
    public static ProcessSpec Create(StackImage stack, string command, IReadOnlyDictionary<string, string> environment)
    {
        ArgumentNullException.ThrowIfNull(stack);
        ArgumentException.ThrowIfNullOrWhiteSpace(command);
        ArgumentNullException.ThrowIfNull(environment);
        var all = new Dictionary<string, string>
        {
            ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ["HOME"] = "/home/app",
            ["USER"] = "app",
            ["LANG"] = "C.UTF-8",
        };
        foreach (var (name, value) in stack.Environment.Concat(environment))
            all[name] = value;
        return new ProcessSpec
        {
            Command = ["/bin/sh", "-c", command],
            Environment = all,
            WorkingDirectory = Folder,
            User = User,
            Group = User,
        };
    }
}

using System.Globalization;

namespace NanoVms.Commands;

/// <summary>Wraps a command so that it runs without any right but those it is given.</summary>
internal static class Unprivileged
{
    /// <param name="userId">User and group; it needs no entry in /etc/passwd.</param>
    /// <param name="capability">The one capability it keeps, without <c>cap_</c>, or null for none.</param>
    /// <param name="group">One further group, or null.</param>
    public static Command Wrap(Command command, uint userId, string? capability = null, uint? group = null)
    {
        var id = userId.ToString(CultureInfo.InvariantCulture);
        var kept = capability is null ? "-all" : $"-all,+{capability}";
        return command with
        {
            Program = "setpriv",
            Arguments =
            [
                $"--reuid={id}", $"--regid={id}",
                group is { } extra ? $"--groups={extra.ToString(CultureInfo.InvariantCulture)}" : "--clear-groups",
                "--no-new-privs", $"--inh-caps={kept}", $"--ambient-caps={kept}", $"--bounding-set={kept}",
                "--", ProgramLocator.Require(command.Program), .. command.Arguments,
            ],
        };
    }

    /// <summary>Takes the network away as well: the command sees an empty one, and can only use sockets and taps that it is handed.</summary>
    public static Command WithoutNetwork(Command command) => command with
    {
        Program = "unshare",
        Arguments = ["--net", "--ipc", "--uts", "--", ProgramLocator.Require(command.Program), .. command.Arguments],
    };
}

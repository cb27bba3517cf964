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

    /// <summary>Lets the command lock that much memory.</summary>
    public static Command WithLockedMemory(Command command, long bytes) => command with
    {
        Program = "prlimit",
        Arguments = [$"--memlock={bytes.ToString(CultureInfo.InvariantCulture)}:{bytes.ToString(CultureInfo.InvariantCulture)}", "--", ProgramLocator.Require(command.Program), .. command.Arguments],
    };

    /// <summary>
    /// The same in a user namespace of its own, in which no user and no right exists: what the command could become within it is nobody
    /// outside. Steps: 1 the user, with what it takes to leave the computer's namespace; 2 the namespace; 3 no rights in it.
    /// </summary>
    public static Command WrapApart(Command command, uint userId, uint? group)
    {
        const string Leaving = "-all,+sys_admin";
        var id = userId.ToString(CultureInfo.InvariantCulture);
        var setpriv = ProgramLocator.Require("setpriv");
        return command with
        {
            Program = setpriv,
            Arguments =
            [
                $"--reuid={id}", $"--regid={id}",
                group is { } extra ? $"--groups={extra.ToString(CultureInfo.InvariantCulture)}" : "--clear-groups",
                $"--inh-caps={Leaving}", $"--ambient-caps={Leaving}", $"--bounding-set={Leaving}",
                "--", ProgramLocator.Require("unshare"), "--user", "--keep-caps",
                "--", setpriv, "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all",
                "--", ProgramLocator.Require(command.Program), .. command.Arguments,
            ],
        };
    }
}

using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Network;

/// <summary>Runs commands with all rights in a process's own user and network namespaces, as its owner may, and none outside of them.</summary>
internal static class UserNamespace
{
    public static Command Enter(int process, Command command) => command with
    {
        Program = "nsenter",
        Arguments =
        [
            "--user", "--net", "--preserve-credentials", $"--target={process.ToString(CultureInfo.InvariantCulture)}",
            "--", ProgramLocator.Require(command.Program), .. command.Arguments,
        ],
    };
}

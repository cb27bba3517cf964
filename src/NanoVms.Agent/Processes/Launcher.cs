using System.Globalization;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>
/// The agent's own program between spawn and a limited program: limits belong to a whole process, so that the agent cannot lend
/// its own as it lends identities, and some would hurt it. It sets them, drops to the user and becomes the program.
/// </summary>
internal static unsafe class Launcher
{
    public const string Option = "--launch";

    /// <summary>The agent's file, also when it is no longer at any path.</summary>
    public const string Self = "/proc/self/exe";

    /// <summary>Arguments that <see cref="Run"/> understands.</summary>
    public static List<string> Arguments(ProcessSpec spec, string path, Account account)
    {
        var arguments = new List<string>
        {
            "nanovms-agent",
            Option,
            account.User.ToString(CultureInfo.InvariantCulture),
            account.Group.ToString(CultureInfo.InvariantCulture),
            Others(account),
        };
        foreach (var limit in spec.Limits)
            arguments.Add($"{(int)limit.Kind}:{limit.Soft}:{limit.Hard}");
        arguments.Add("--");
        arguments.Add(path);
        arguments.AddRange(spec.Command);
        return arguments;
    }

    /// <param name="arguments">What follows the option.</param>
    /// <returns>A shell's exit code, when it could not become the program.</returns>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        var end = 3;
        while (end < arguments.Length && arguments[end] != "--")
            end++;
        if (arguments.Length < end + 3)
            return Fail("it was called wrongly", 126);
        var groups = Groups(arguments[2]);
        var (user, group) = (Number(arguments[0]), Number(arguments[1]));
        var limits = new ulong[(end - 3) * 3];
        for (var i = 3; i < end; i++)
        {
            var parts = arguments[i].Split(':');
            for (var j = 0; j < 3; j++)
                limits[((i - 3) * 3) + j] = ulong.Parse(parts[j], CultureInfo.InvariantCulture);
        }

        var path = Files.Path(arguments[end + 1]);
        var program = Spawner.Strings(arguments[(end + 2)..].ToArray());
        _ = Libc.HandleSignal(Libc.SIGPIPE, 0);

        // Nothing after the limits takes memory of its own: there may be none left.
        // SAFETY: each limit is two of the array's words after its kind; the pointers live until the program takes over.
        fixed (ulong* words = limits)
        fixed (uint* others = groups)
        fixed (byte* name = path)
        {
            for (var i = 0; i < limits.Length; i += 3)
            {
                if (Libc.SetLimit((int)words[i], words + i + 1) != 0)
                    return Fail($"limit {words[i]} cannot be {words[i + 1]}, at most {words[i + 2]}: {Errno.Describe(Errno.Last)}", 126);
            }

            if ((user != 0 || group != 0 || groups.Length > 0)
                && (Libc.SystemCall(Libc.SYS_SETGROUPS, groups.Length, (nint)others, 0) != 0
                    || Libc.SystemCall(Libc.SYS_SETRESGID, (nint)group, (nint)group, (nint)group) != 0
                    || Libc.SystemCall(Libc.SYS_SETRESUID, (nint)user, (nint)user, (nint)user) != 0))
                return Fail("the user cannot be changed", 126);
            _ = Libc.Execute(name, program);
        }

        return Fail($"{arguments[end + 1]}: {Errno.Describe(Errno.Last)}", Errno.Last == Errno.ENOENT ? 127 : 126);
    }

    private static string Others(Account account)
    {
        var text = "";
        foreach (var group in account.Others)
            text += (text.Length == 0 ? "" : ",") + group.ToString(CultureInfo.InvariantCulture);
        return text;
    }

    private static uint[] Groups(string text)
    {
        var parts = text.Split(',', StringSplitOptions.RemoveEmptyEntries);
        var groups = new uint[parts.Length];
        for (var i = 0; i < parts.Length; i++)
            groups[i] = Number(parts[i]);
        return groups;
    }

    private static uint Number(string text) => uint.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static int Fail(string why, int code)
    {
        Files.TryWrite("/dev/stderr", $"cannot be started: {why}\n");
        return code;
    }
}

using System.Globalization;
using NanoVms.Agent.Interop;
using NanoVms.Machines;

namespace NanoVms.Agent.Processes;

/// <summary>Who a process runs as.</summary>
/// <param name="Others">Further groups that the user is a member of.</param>
/// <param name="Home">Null where the guest does not say.</param>
internal sealed record Account(uint User, uint Group, uint[] Others, string? Home)
{
    private const int MaxFile = 256 * 1024;
    private const int MaxGroups = 64;

    public bool IsRoot => User == 0 && Group == 0 && Others.Length == 0;

    /// <returns>The account, or why there is none.</returns>
    public static (Account? Account, string Reason) Of(ProcessSpec spec)
    {
        if (spec.Account is null)
            return (new Account(spec.User, spec.Group, [], null), "");
        var colon = spec.Account.IndexOf(':');
        var (user, group) = colon < 0 ? (spec.Account, null) : (spec.Account[..colon], spec.Account[(colon + 1)..]);

        // "name:password:user:group:comment:home:shell"; numbers need no line.
        var line = FindLine("/etc/passwd", user, 2);
        if (line is null && !IsNumber(user))
            return (null, $"there is no user '{user}' in /etc/passwd");
        var number = line is null ? Number(user) : Number(line[2]);
        var home = line is { Length: > 5 } && line[5].Length > 0 ? line[5] : null;
        if (group is not null)
        {
            var groupLine = FindLine("/etc/group", group, 2);
            return groupLine is null && !IsNumber(group)
                ? (null, $"there is no group '{group}' in /etc/group")
                : (new Account(number, groupLine is null ? Number(group) : Number(groupLine[2]), [], home), "");
        }

        var own = line is { Length: > 3 } ? Number(line[3]) : 0;
        return (new Account(number, own, line is null ? [] : Memberships(line[0], own), home), "");
    }

    /// <summary>The line whose name or, for a number, whose number it is; a name counts first.</summary>
    private static string[]? FindLine(string path, string name, int numberField)
    {
        string[]? byNumber = null;
        foreach (var text in Files.TryReadText(path, MaxFile).Split('\n'))
        {
            var fields = text.Split(':');
            if (fields.Length <= numberField || !IsNumber(fields[numberField]))
                continue;
            if (fields[0] == name)
                return fields;
            if (byNumber is null && fields[numberField] == name)
                byNumber = fields;
        }

        return byNumber;
    }

    private static uint[] Memberships(string user, uint own)
    {
        var groups = new List<uint>();
        foreach (var text in Files.TryReadText("/etc/group", MaxFile).Split('\n'))
        {
            // "name:password:group:member,member"
            var fields = text.Split(':');
            if (fields.Length > 3 && IsNumber(fields[2]) && $",{fields[3]},".Contains($",{user},", StringComparison.Ordinal) && Number(fields[2]) != own && groups.Count < MaxGroups)
                groups.Add(Number(fields[2]));
        }

        return groups.ToArray();
    }

    private static bool IsNumber(string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static uint Number(string text) => uint.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}

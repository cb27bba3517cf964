using NanoVms.Tests.Machines;
using Xunit.Runner.InProc.SystemConsole;

namespace NanoVms.Tests;

/// <summary>The tests, and the process that one of them kills.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments) =>
        arguments switch
        {
            [HostChild.Verb, var folder, var bridge] => await HostChild.RunAsync(folder, bridge),
            [HostChild.ContainerVerb, var folder, var bridge, var agent] => await HostChild.RunAsync(folder, bridge, agent),
            _ => await ConsoleRunner.Run(arguments),
        };
}

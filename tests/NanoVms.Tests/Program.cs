using NanoVms.Tests.Chaos;
using NanoVms.Tests.Drivers.Vmm;
using NanoVms.Tests.Machines;
using NanoVms.Tests.Machines.User;
using Xunit.Runner.InProc.SystemConsole;

namespace NanoVms.Tests;

/// <summary>The tests, and the processes that some of them start.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments) =>
        arguments switch
        {
            [UserHostChild.Verb, var home] => await UserHostChild.RunAsync(home),
            [HostChild.Verb, var folder, var bridge] => await HostChild.RunAsync(folder, bridge),
            [HostChild.ContainerVerb, var folder, var bridge, var agent] => await HostChild.RunAsync(folder, bridge, agent),
            [ChaosChild.Verb, var folder, var bridge, var driver, var steps, var snapshots, var agent] => await ChaosChild.RunAsync(folder, bridge, driver, steps, snapshots, agent),
            [FakeVmm.Verb, .. var rest] => await FakeVmm.RunAsync(rest),
            _ => await ConsoleRunner.Run(arguments),
        };
}

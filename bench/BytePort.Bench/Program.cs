using System.Globalization;
using BytePort.Bench;
using BytePort.Bench.Deploy;
using BytePort.Bench.Edge;
using BytePort.Bench.Machines;

const int ContainerRounds = 21;

return args switch
{
    [EdgeProcess.Verb, .. var rest] => await EdgeProcess.RunAsync(rest),
    ["all"] => await RunAllAsync(),
    ["edge"] => await RunEdgeAsync(quick: false),
    ["edge", "--quick"] => await RunEdgeAsync(quick: true),
    ["machines"] => await RunMachinesAsync(rounds: 5),
    ["machines", var rounds] when int.TryParse(rounds, CultureInfo.InvariantCulture, out var number) && number > 0 => await RunMachinesAsync(number),
    ["snapshots"] => await SnapshotBench.RunAsync(Setting("BYTEPORT_AGENT"), rounds: 5),
    ["containers"] => await ContainerBench.RunAsync(Setting("BYTEPORT_AGENT"), ContainerRounds),
    ["deploy"] => await RunDeployAsync(),
    _ => Usage(),
};

static async Task<int> RunAllAsync()
{
    Console.WriteLine($"{Computer.Describe()}\n");
    var failed = 0;
    foreach (var bench in (Func<Task<int>>[])[() => RunEdgeAsync(quick: false), () => RunMachinesAsync(rounds: 5), RunDeployAsync])
    {
        failed = Math.Max(failed, await bench());
        Console.WriteLine();
    }

    return failed;
}

static Task<int> RunEdgeAsync(bool quick) => EdgeBench.RunAsync(quick);

static async Task<int> RunMachinesAsync(int rounds)
{
    var failed = await MachineBench.RunAsync(Setting("BYTEPORT_AGENT"), rounds);
    failed = Math.Max(failed, await SnapshotBench.RunAsync(Setting("BYTEPORT_AGENT"), rounds));
    return Math.Max(failed, await ContainerBench.RunAsync(Setting("BYTEPORT_AGENT"), ContainerRounds));
}

static Task<int> RunDeployAsync() => DeployBench.RunAsync(Setting("BYTEPORT_PROGRAMS"));

// The script that builds the programs says where they are.
static string Setting(string name) =>
    Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set. Run ./byteport bench.");

static int Usage()
{
    Console.Error.WriteLine("Which bench? ./byteport bench [all | edge [--quick] | machines [ROUNDS] | containers | deploy]");
    return 2;
}

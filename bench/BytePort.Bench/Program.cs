using System.Globalization;
using BytePort.Bench.Edge;
using BytePort.Bench.Machines;

return args switch
{
    ["edge", .. var rest] => await EdgeBench.RunAsync(quick: rest.Contains("--quick")),
    [EdgeProcess.Verb, .. var rest] => await EdgeProcess.RunAsync(rest),
    ["machines", var agent] => await MachineBench.RunAsync(agent, rounds: 5),
    ["machines", var agent, var rounds] => await MachineBench.RunAsync(agent, int.Parse(rounds, CultureInfo.InvariantCulture)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("Which bench? BytePort.Bench edge [--quick] | machines AGENT [ROUNDS]");
    return 2;
}

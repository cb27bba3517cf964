using BytePort.Bench.Edge;

return args switch
{
    ["edge", .. var rest] => await EdgeBench.RunAsync(quick: rest.Contains("--quick")),
    [EdgeProcess.Verb, .. var rest] => await EdgeProcess.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("Which bench? BytePort.Bench edge [--quick]");
    return 2;
}

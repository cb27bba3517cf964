using BytePort.Cli;
using BytePort.Cli.Terminal;

using var interrupts = new Interrupts();
interrupts.Listen();
var host = new CliHost
{
    Out = Console.Out,
    Error = Console.Error,
    In = () => Console.In,
    IsTerminal = !Console.IsInputRedirected && !Console.IsOutputRedirected && !Console.IsErrorRedirected,
    Variable = Environment.GetEnvironmentVariable,
    Folder = Directory.GetCurrentDirectory(),
    Time = TimeProvider.System,
    Interrupts = interrupts,
};
return await CommandLine.RunAsync(host, args);

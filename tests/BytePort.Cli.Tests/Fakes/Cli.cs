using BytePort.Cli.Terminal;

namespace BytePort.Cli.Tests.Fakes;

/// <summary>Runs the commands in this process, with a folder, an environment and a home of their own.</summary>
internal sealed class Cli : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("byteport-cli-");

    public Cli(FakeServer? server = null)
    {
        Directory.CreateDirectory(Home);
        Variables["HOME"] = Home;
        if (server is null)
            return;
        Variables["BYTEPORT_URL"] = server.Url;
        Variables["BYTEPORT_TOKEN"] = "secret-token";
    }

    public Dictionary<string, string> Variables { get; } = [];

    public string Folder => _folder.FullName;

    public string Home => Path.Combine(Folder, ".home");

    public string Input { get; set; } = "";

    public byte[] InputBytes { get; set; } = [];

    public MemoryStream OutputBytes { get; } = new();

    public MemoryStream ErrorBytes { get; } = new();

    public Interrupts Interrupts { get; } = new();

    public async Task<(int Code, string Out, string Error)> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var host = new CliHost
        {
            Out = TextWriter.Synchronized(output),
            Error = TextWriter.Synchronized(error),
            In = () => new StringReader(Input),
            OpenInput = () => new MemoryStream(InputBytes, writable: false),
            OpenOutput = () => OutputBytes,
            OpenError = () => ErrorBytes,
            IsTerminal = false,
            Variable = name => Variables.GetValueOrDefault(name),
            Folder = Folder,
            Time = TimeProvider.System,
            Interrupts = Interrupts,
        };
        var code = await CommandLine.RunAsync(host, arguments).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }

    /// <summary>Writes a file below the folder and returns its path.</summary>
    public string Write(string path, string text = "")
    {
        var full = Path.Combine(Folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
        return full;
    }

    public void Dispose()
    {
        Interrupts.Dispose();
        _folder.Delete(recursive: true);
    }
}

using System.Security.Cryptography;
using BytePort.Builds.Tests.Services;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

[assembly: AssemblyFixture(typeof(BuildMachines))]

namespace BytePort.Builds.Tests.Services;

/// <summary>Real machines for the tests that build, on a bridge and in a folder of their own; opened by the first test that asks.</summary>
public sealed class BuildMachines : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("byteport-build-machines-").FullName;
    private readonly Lazy<Task<MachineHost>> _host;

    public BuildMachines()
    {
        // The hypervisor runs as an account of its own and must reach the images.
        File.SetUnixFileMode(_folder, (UnixFileMode)0b111_001_001);
        _host = new(OpenAsync);
    }

    public ImageStore Images { get; } = new();

    public Task<MachineHost> GetAsync() => _host.Value;

    public string NewFolder()
    {
        var path = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(path);
        return path;
    }

    public async ValueTask DisposeAsync()
    {
        if (_host.IsValueCreated)
        {
            await (await _host.Value).DisposeAsync();
            await MachineHost.DestroyAsync(Options(), NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }

        Directory.Delete(_folder, recursive: true);
    }

    private Task<MachineHost> OpenAsync() =>
        MachineHost.OpenAsync(Options(), NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);

    private MachineHostOptions Options() => new()
    {
        Folder = Path.Combine(_folder, "machines"),
        Network = new NetworkOptions { BridgeName = "bpt" + Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(_folder)))[..8] },
        Boot = async cancellationToken =>
        {
            return await Images.GetBootAsync(await AgentAsync(cancellationToken), null, cancellationToken);
        },
    };

    /// <summary>The agent's executable: <c>BYTEPORT_AGENT</c>, or the tree's own, published when it is not there.</summary>
    private static async Task<string> AgentAsync(CancellationToken cancellationToken)
    {
        if (Environment.GetEnvironmentVariable("BYTEPORT_AGENT") is { Length: > 0 } given)
            return given;
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "BytePort.slnx")))
            root = root.Parent ?? throw new InvalidOperationException("The tests run outside of their tree: set BYTEPORT_AGENT.");
        var binary = Path.Combine(root.FullName, "artifacts/publish/NanoVms.Agent/release_linux-x64/nanovms-agent");
        if (!File.Exists(binary))
            await CommandRunner.RunCheckedAsync(
                new Command("dotnet", "publish", "src/NanoVms.Agent", "-c", "Release") { WorkingDirectory = root.FullName, Timeout = TimeSpan.FromMinutes(5) },
                cancellationToken);
        return binary;
    }
}

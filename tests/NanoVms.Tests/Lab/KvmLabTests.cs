using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;
using NanoVms.Tests.Machines;

namespace NanoVms.Tests.Lab;

/// <summary>
/// The accelerated path where the computer has no usable KVM: a machine whose emulated processor has virtualization runs
/// <see cref="InLabTests"/>, whose machines then run by KVM.
/// </summary>
[Collection(nameof(MachineHostTests))]
public sealed class KvmLabTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-lab-run-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Lab_QemuDriverByKvm_Works()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);

        // Debian's, whose modules there are.
        var store = new ImageStore();
        var kernel = await store.GetDistributionKernelAsync(null, limit.Token);
        var initramfs = await GuestInitramfs.PrepareAsync(store.Folder, kernel, await Agent.AgentBinary.PathAsync, null, limit.Token);
        var root = await LabImage.RootAsync(kernel, limit.Token);
        var tests = await LabImage.TestsAsync(_folder, limit.Token);
        var options = new MachineHostOptions
        {
            Folder = Path.Combine(_folder, "host"),
            Boot = _ => Task.FromResult(new BootFiles(kernel.VmlinuxPath, initramfs)),
            Network = new NetworkOptions { BridgeName = $"nvl{Random.Shared.Next(0x10000):x4}", Prefix = "10.201.0.0/24" },
        };
        try
        {
            await using var host = await MachineHost.OpenAsync(options, NullLoggerFactory.Instance, TimeProvider.System, limit.Token);
            var spec = new MachineSpec
            {
                Name = "lab",
                Cpus = 1,
                MemoryMiB = 1536,
                DiskBytes = 2L << 30,
                Layers = [root, tests],
                Network = NetworkMode.None,
                NestedVirtualization = true,
            };
            var lab = await host.StartAsync(spec, null, limit.Token);
            var (prepared, said) = await TestHost.RunAsync(lab, "modprobe -a kvm_amd tun bridge nf_tables nft_chain_nat nft_masq nft_ct nft_reject_inet overlay loop && chmod 666 /dev/kvm /dev/net/tun && ls /dev/kvm");
            Assert.True(prepared.ExitCode == 0, $"{prepared}: {said}");

            var output = new StringBuilder();
            var exit = await lab.RunAsync(
                new ProcessSpec
                {
                    Command = [$"{LabImage.DotNet}/dotnet", $"{LabImage.Tests}/NanoVms.Tests.dll", "-class", typeof(InLabTests).FullName!, "-explicit", "only", "-noColor", "-diagnostics"],
                    Environment = new Dictionary<string, string>
                    {
                        ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin",
                        ["HOME"] = "/root",
                        ["BYTEPORT_AGENT"] = LabImage.Agent,
                        ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1",
                        // Emulated code that is compiled twice costs more than it gains.
                        ["DOTNET_TieredPGO"] = "0",
                    },
                },
                chunk => output.Append(Encoding.UTF8.GetString(chunk.Data.Span)),
                limit.Token);

            TestContext.Current.SendDiagnosticMessage("{0}", output.ToString());
            Assert.True(exit.ExitCode == 0, output.ToString());
            Assert.Contains($"Total: {InLabTests.Count}, Errors: 0, Failed: 0, Skipped: 0, Not Run: 0", output.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            await MachineHost.DestroyAsync(options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None);
        }
    }
}

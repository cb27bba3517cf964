using System.Diagnostics;
using NanoVms.Drivers.Qemu;
using NanoVms.Machines;

namespace NanoVms.Tests.Drivers.Qemu;

public sealed class KvmProbeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-probe-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The proof that the probe's guest runs to its end where a processor runs it.</summary>
    [Fact]
    public async Task Run_UnderEmulation_ComesToItsEnd() =>
        Assert.Null(await KvmProbe.RunAsync("tcg", 1_899_999_998, null, _folder, KvmProbe.DefaultLimit, TimeProvider.System, CancellationToken.None));

    [Fact]
    public async Task Ask_Answers_InTwoSeconds_AndOnceABoot()
    {
        var clock = Stopwatch.StartNew();
        var answer = await KvmProbe.AskAsync(HostMode.Root, _folder, KvmProbe.DefaultLimit, TimeProvider.System, CancellationToken.None);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(2.5), $"{clock.Elapsed}: {answer.Reason}");
        Assert.NotEmpty(answer.Reason);

        clock.Restart();
        Assert.Equal(answer, await KvmProbe.AskAsync(HostMode.Root, _folder, KvmProbe.DefaultLimit, TimeProvider.System, CancellationToken.None));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(0.5), $"{clock.Elapsed}");
    }
}

using System.Text;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Tests.Agent;

namespace NanoVms.Tests.Images;

public sealed class GuestInitramfsTests
{
    [Fact]
    public void Finish_SmallArchive_IsFrozen()
    {
        var archive = new GuestInitramfsArchive();
        archive.AddDirectory("dev");
        archive.AddDevice("dev/null", 1, 3);
        archive.AddFile("init", "#!"u8, executable: true);
        const string Zero = "00000000";
        var expected =
            $"07070100000001000041ed{Zero}{Zero}00000001{Zero}{Zero}{Zero}{Zero}{Zero}{Zero}00000004{Zero}dev\0\0\0" +
            $"0707010000000200002180{Zero}{Zero}00000001{Zero}{Zero}{Zero}{Zero}000000010000000300000009{Zero}dev/null\0\0" +
            $"07070100000003000081ed{Zero}{Zero}00000001{Zero}00000002{Zero}{Zero}{Zero}{Zero}00000005{Zero}init\0\0#!\0\0" +
            $"0707010000000400000000{Zero}{Zero}00000001{Zero}{Zero}{Zero}{Zero}{Zero}{Zero}0000000b{Zero}TRAILER!!!\0\0\0\0";
        Assert.Equal(expected, Encoding.ASCII.GetString(archive.Finish()));
    }

    [Fact]
    public async Task PrepareAsync_AgentAndKernel_MakesWhatCpioReads()
    {
        var folder = Directory.CreateTempSubdirectory("initramfs").FullName;
        try
        {
            var kernel = await GuestKernel.PrepareAsync(ImageStore.DefaultFolder, null, TestContext.Current.CancellationToken);
            var path = await GuestInitramfs.PrepareAsync(
                folder, kernel, await AgentBinary.PathAsync, null, TestContext.Current.CancellationToken);
            Assert.Equal(path, await GuestInitramfs.PrepareAsync(
                folder, kernel, await AgentBinary.PathAsync, null, TestContext.Current.CancellationToken));
            Assert.Single(Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories));
            var listed = await CommandRunner.RunCheckedAsync(
                new Command("cpio", "--list", "-v", "--file", path), TestContext.Current.CancellationToken);
            Assert.Contains("crw-------", listed.StandardOutput, StringComparison.Ordinal);
            Assert.Contains("init", listed.StandardOutput, StringComparison.Ordinal);
            Assert.Contains("modules/order", listed.StandardOutput, StringComparison.Ordinal);
            Assert.InRange(new FileInfo(path).Length, 1_000_000, 6_000_000);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task PrepareAsync_AgentIsMissing_SaysWhatToDo()
    {
        var kernel = new GuestKernel("/nowhere", "0", Path.GetTempPath());
        var failure = await Assert.ThrowsAsync<ImageException>(
            () => GuestInitramfs.PrepareAsync("/nowhere", kernel, "/no/agent", null, TestContext.Current.CancellationToken));
        Assert.Contains("Publish", failure.Message, StringComparison.Ordinal);
    }
}

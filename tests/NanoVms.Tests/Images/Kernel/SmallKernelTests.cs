using NanoVms.Images;
using NanoVms.Images.Kernel;

namespace NanoVms.Tests.Images.Kernel;

public sealed class SmallKernelTests : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("nanovms-kernel-").FullName;

    public void Dispose() => Directory.Delete(_home, recursive: true);

    [Fact]
    public void Current_TheRecipe_IsWhole()
    {
        var recipe = SmallKernelRecipe.Current;

        Assert.StartsWith("linux-source-", recipe.Source, StringComparison.Ordinal);
        Assert.Contains("gcc", recipe.Packages);
        Assert.Contains("CONFIG_EROFS_FS=y", recipe.Options, StringComparison.Ordinal);
        Assert.NotEmpty(recipe.Patches);
        Assert.All(recipe.Patches, patch => Assert.Contains("\n+++ b/", patch.Text, StringComparison.Ordinal));
        Assert.DoesNotContain("CONFIG_MODULES=", recipe.Options, StringComparison.Ordinal);
    }

    [Fact]
    public void Dropped_AConfigurationWithoutAnOption_NamesIt()
    {
        var recipe = SmallKernelRecipe.Current;
        var whole = "# made by kconfig\n" + recipe.Options + "\nCONFIG_MORE=y\n";

        Assert.Empty(recipe.Dropped(whole));
        Assert.Equal(
            ["CONFIG_OVERLAY_FS=y"],
            recipe.Dropped(whole.Replace("CONFIG_OVERLAY_FS=y", "# CONFIG_OVERLAY_FS is not set", StringComparison.Ordinal)));
    }

    [Fact]
    public void Find_AKernelOfTheRecipeOfNow_IsFound()
    {
        var folder = Make(SmallKernelRecipe.Current.Key);

        var kernel = SmallKernel.Find(_home);

        Assert.NotNull(kernel);
        Assert.True(kernel.IsSmall);
        Assert.Equal("6.1.0-nanovms", kernel.Release);
        Assert.Equal(Path.Combine(folder, "vmlinux"), kernel.VmlinuxPath);
    }

    [Theory]
    [InlineData("000000000000")]
    [InlineData("../../etc")]
    public void Find_AKernelOfAnotherRecipe_IsNotUsed(string key)
    {
        _ = Make(SmallKernelRecipe.Current.Key);
        File.WriteAllText(Path.Combine(_home, "small"), "6.1.0-nanovms." + key);

        Assert.Null(SmallKernel.Find(_home));
    }

    [Fact]
    public async Task Prepare_WithASmallKernel_NeedsNoOther()
    {
        var store = Directory.CreateDirectory(Path.Combine(_home, "store")).FullName;
        Directory.CreateDirectory(Path.Combine(store, "kernel"));
        Directory.Move(Make(SmallKernelRecipe.Current.Key), Path.Combine(store, "kernel", Name(SmallKernelRecipe.Current.Key)));
        File.Move(Path.Combine(_home, "small"), Path.Combine(store, "kernel/small"));

        var images = new ImageStore(store);
        Assert.True((await images.GetKernelAsync(null, TestContext.Current.CancellationToken)).IsSmall);

        Assert.True(images.RemoveSmallKernel());
        Assert.Null(images.FindSmallKernel());
        Assert.Empty(Directory.GetDirectories(Path.Combine(store, "kernel")));
        Assert.False(images.RemoveSmallKernel());
    }

    [Fact]
    public void CommandLine_OfTheSmallKernel_GivesWhatItWouldMeasureUnderEmulationOnly()
    {
        Assert.Contains(" lapic_khz=", GuestKernel.CommandLine(2_000_000, hardware: false, small: true), StringComparison.Ordinal);
        Assert.DoesNotContain("lapic_khz", GuestKernel.CommandLine(2_000_000, hardware: true, small: true), StringComparison.Ordinal);
        Assert.DoesNotContain("lapic_khz", GuestKernel.CommandLine(2_000_000, hardware: false), StringComparison.Ordinal);
    }

    /// <summary>Into the store of this computer, where all tests of machines then boot it. Some minutes, so only when asked for.</summary>
    [Fact(Explicit = true)]
    public async Task Build_OnThisComputer_GivesAKernel()
    {
        var kernel = await new ImageStore().BuildKernelAsync(new Progress(), TestContext.Current.CancellationToken);

        Assert.True(kernel.IsSmall);
        Assert.EndsWith("-nanovms", kernel.Release, StringComparison.Ordinal);
        Assert.Equal(kernel, await new ImageStore().GetKernelAsync(null, TestContext.Current.CancellationToken));
    }

    private static string Name(string key) => "6.1.0-nanovms." + key;

    private string Make(string key)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_home, Name(key))).FullName;
        File.WriteAllText(Path.Combine(folder, "vmlinux"), "\u007fELF");
        GuestKernelModules.WriteNone(Directory.CreateDirectory(Path.Combine(folder, "modules")).FullName);
        File.WriteAllText(Path.Combine(_home, "small"), Name(key));
        return folder;
    }

    private sealed class Progress : IProgress<string>
    {
        public void Report(string value) => TestContext.Current.SendDiagnosticMessage("{0}", value);
    }
}

using NanoVms.Images.Oci;

namespace NanoVms.Tests.Images.Oci;

public sealed class StopSignalsTests
{
    [Theory]
    [InlineData("SIGTERM", 15)]
    [InlineData("SIGQUIT", 3)]
    [InlineData("quit", 3)]
    [InlineData("3", 3)]
    [InlineData("SIGWINCH", 28)]
    [InlineData("SIGRTMIN+3", 37)]
    [InlineData("RTMAX-1", 63)]
    [InlineData("SIGRTMIN", 34)]
    [InlineData("", 15)]
    [InlineData(null, 15)]
    [InlineData("0", 15)]
    [InlineData("65", 15)]
    [InlineData("-9", 15)]
    [InlineData("SIGRTMIN+99", 15)]
    [InlineData("SIGNONSENSE", 15)]
    public void StopSignalNumber_AsImagesWriteIt_IsTheSignal(string? text, int signal) =>
        Assert.Equal(signal, new OciConfig { StopSignal = text }.StopSignalNumber);
}

using BytePort.Server.Machines;
using NanoVms.Images;
using NanoVms.Images.Oci;

namespace BytePort.Server.Tests.Machines;

public sealed class MachineImageTests
{
    private static readonly OciImage Image = new(
        "docker.io/library/app:1", "sha256:0", ["/a", "/b"], new OciConfig { Entrypoint = ["/entry"], Cmd = ["serve", "-v"], Env = ["PATH=/x", "A=1"], User = "app", WorkingDir = "/srv" });

    [Fact]
    public void Of_Image_RunsItsEntryPointAsItsUser()
    {
        var image = MachineImage.Of(Image);
        var main = image.ToMain([])!;

        Assert.Equal(["/entry", "serve", "-v"], main.Command);
        Assert.Equal(("/srv", "app"), (main.WorkingDirectory, main.Account));
        Assert.Equal(("/x", "1"), (image.Environment["PATH"], image.Environment["A"]));
        Assert.Equal(["/a", "/b"], image.Layers);
    }

    [Fact]
    public void ToMain_CommandForAnImage_IsTheEntryPointsArguments() =>
        Assert.Equal(["/entry", "check"], MachineImage.Of(Image).ToMain(["check"])!.Command);

    [Fact]
    public void Of_Stack_RunsOnlyWhatIsAsked()
    {
        var stack = MachineImage.Of(new StackImage("node", "22.0.0", ["/a"], new Dictionary<string, string> { ["PATH"] = "/opt", ["B"] = "2" }));

        Assert.Null(stack.ToMain([]));
        Assert.Equal(["node", "-v"], stack.ToMain(["node", "-v"])!.Command);
        Assert.Equal(("/opt", "/root", "2"), (stack.Environment["PATH"], stack.Environment["HOME"], stack.Environment["B"]));
    }
}

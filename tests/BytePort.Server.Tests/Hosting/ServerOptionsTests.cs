using BytePort.Manifest.Hac;
using BytePort.Server.Hosting;

namespace BytePort.Server.Tests.Hosting;

public class ServerOptionsTests
{
    [Fact]
    public void Parse_AllArguments_AreTaken()
    {
        var options = ServerOptions.Parse(["--data", "/tmp/x", "--listen", "0.0.0.0:81", "--cache", "/c", "--agent", "/a"], _ => null);

        Assert.Equal("/tmp/x", options.DataFolder);
        Assert.Equal(81, options.ListenPort);
        Assert.Equal("http://localhost:81/", options.Url.ToString());
        Assert.Equal("http://shop.localhost:81/", options.AppUrl("shop").ToString());
    }

    [Fact]
    public void Parse_SeveralMistakes_NamesThemAll()
    {
        var exception = Assert.Throws<ServerOptionsException>(() => ServerOptions.Parse(["--listen", "here", "--frobnicate"], _ => null));

        Assert.Contains("--data", exception.Message, StringComparison.Ordinal);
        Assert.Contains("'here'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("--frobnicate", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_DatabaseFromEnvironment_IsTaken()
        => Assert.Equal("Host=db", ServerOptions.Parse(["--data", "/d"], name => name == "BYTEPORT_DATABASE" ? "Host=db" : null).Database);

    [Fact]
    public void Parse_MachineLimits_AreTheOperators()
    {
        static ServerOptions Parse(string? limits) => ServerOptions.Parse(["--data", "/d"], name => name == "BYTEPORT_MACHINE_LIMITS" ? limits : null);

        Assert.Equal(new MachineLimits { ReceiveBits = 1_000_000_000, SendBits = 1_000_000_000 }, Parse(null).MachineLimits);
        Assert.Equal(new MachineLimits { ReceiveBits = 1_000_000_000, SendBits = 10_000_000_000, WriteBytes = 200 << 20 }, Parse("send_bits=10G, write_bytes=200M").MachineLimits);
        Assert.Contains("BYTEPORT_MACHINE_LIMITS: write_bytes must be", Assert.Throws<ServerOptionsException>(() => Parse("write_bytes=fast")).Message, StringComparison.Ordinal);
        Assert.Contains("BYTEPORT_NESTED_VIRTUALIZATION is 'some'", Assert.Throws<ServerOptionsException>(() => ServerOptions.Parse(["--data", "/d"], name => name == "BYTEPORT_NESTED_VIRTUALIZATION" ? "some" : null)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("localhost:9090", true)]
    [InlineData("[::1]:9090", true)]
    [InlineData("example.com:9090", false)]
    [InlineData("9090", false)]
    [InlineData("localhost:8080", false)] // where HTTP listens
    public void Parse_GrpcListen_IsAnAddressOfItsOwn(string address, bool right)
    {
        string[] arguments = ["--data", "/d", "--grpc-listen", address];
        if (right)
            Assert.Equal(address, ServerOptions.Parse(arguments, _ => null).GrpcListen);
        else
            Assert.Contains("--grpc-listen", Assert.Throws<ServerOptionsException>(() => ServerOptions.Parse(arguments, _ => null)).Message, StringComparison.Ordinal);
    }
}

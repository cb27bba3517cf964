using System.Text;
using NanoVms.Drivers.Vsock;
using NanoVms.Tests.Drivers.Rest;

namespace NanoVms.Tests.Drivers.Vsock;

public sealed class VsockChannelTests
{
    [Fact]
    public async Task Connect_Accepted_LeavesTheGuestsBytes()
    {
        var asked = "";
        await using var server = new RawServer(async (stream, stop) =>
        {
            var buffer = new byte[64];
            asked = Encoding.ASCII.GetString(buffer, 0, await stream.ReadAsync(buffer, stop));
            // The guest's first bytes come with the answer.
            await stream.WriteAsync("OK 1073741825\nhello"u8.ToArray(), stop);
            await Task.Delay(Timeout.Infinite, stop);
        });
        await using var channel = await VsockChannel.ConnectAsync(server.Folder, RawServer.Name, VsockChannel.AgentPort, TimeProvider.System, CancellationToken.None);
        var bytes = new byte[5];
        await channel.ReadExactlyAsync(bytes);
        Assert.Equal(("CONNECT 1024\n", "hello"), (asked, Encoding.ASCII.GetString(bytes)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("OK\n")]
    [InlineData("OK x\n")]
    [InlineData("OK -1\n")]
    [InlineData("NO 1\n")]
    [InlineData("OK 99999999999\n")]
    [InlineData("OK 1")]
    [InlineData("a line that never comes to its end, whatever is read of it")]
    public async Task Connect_NotAccepted_IsRefused(string answer)
    {
        await using var server = new RawServer(async (stream, stop) =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(answer), stop);
            _ = await stream.ReadAsync(new byte[64], stop);
        });
        _ = await Assert.ThrowsAnyAsync<IOException>(
            () => VsockChannel.ConnectAsync(server.Folder, RawServer.Name, 1024, TimeProvider.System, CancellationToken.None));
    }

    [Fact]
    public async Task Connect_Silence_EndsInTime()
    {
        await using var server = new RawServer((_, stop) => Task.Delay(Timeout.Infinite, stop));
        var failure = await Assert.ThrowsAsync<IOException>(
            () => VsockChannel.ConnectAsync(server.Folder, RawServer.Name, 1024, TimeProvider.System, CancellationToken.None));
        Assert.Contains("in 2 seconds", failure.Message, StringComparison.Ordinal);
    }
}

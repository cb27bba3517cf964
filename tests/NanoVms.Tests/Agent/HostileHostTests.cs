using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;
using NanoVms.Tests.Agent.Protocol;

namespace NanoVms.Tests.Agent;

/// <summary>The real agent against bytes that no host should send: it must outlive them all and serve the next host.</summary>
public sealed class HostileHostTests : IAsyncLifetime
{
    private AgentProcess _agent = null!;

    public async ValueTask InitializeAsync() => _agent = await AgentProcess.StartAsync();

    public ValueTask DisposeAsync() => _agent.DisposeAsync();

    [Fact]
    public async Task Agent_RandomBytes_StillServes()
    {
        var random = new Random(3);
        for (var round = 0; round < 40; round++)
        {
            await using var stream = await _agent.OpenStreamAsync();
            var noise = new byte[random.Next(1, 200_000)];
            random.NextBytes(noise);
            await stream.WriteAsync(noise);
        }

        await AssertServesAsync();
    }

    [Fact]
    public async Task Agent_RandomFramesAfterAGreeting_StillServes()
    {
        var random = new Random(5);
        for (var round = 0; round < 120; round++)
        {
            await using var stream = await _agent.OpenStreamAsync();
            await stream.WriteAsync(FrameTests.Wire(FrameType.Hello, 0, [.. new byte[16], 1, 0, 2, 0]));
            for (var count = random.Next(1, 30); count > 0; count--)
            {
                var payload = new byte[random.Next(0, 80)];
                random.NextBytes(payload);
                for (var i = 0; i < payload.Length; i++)
                    payload[i] = random.Next(3) > 0 ? (byte)random.Next(3) : payload[i];
                // All but Shutdown, which would end it rightly, and copies, which would touch this computer.
                var type = (FrameType)random.Next(1, 23);
                if (type != FrameType.Shutdown)
                    await stream.WriteAsync(FrameTests.Wire(type, (uint)random.Next(0, 4), payload));
            }
        }

        await AssertServesAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(40)]
    [InlineData(70)]
    public async Task ConnectAsync_AfterAFrameThatWasCut_Works(int length)
    {
        // Not a new connection: as with a virtio port, the agent sees one stream of bytes.
        await using var stream = await _agent.OpenStreamAsync();
        var writer = new WireWriter();
        Messages.WriteSpec(writer, new ProcessSpec { Command = ["sh", "-c", "echo this must never run"] });
        await stream.WriteAsync(FrameTests.Wire(FrameType.Hello, 0, [.. new byte[16], 1, 0, 1, 0]));
        await stream.WriteAsync(FrameTests.Wire(FrameType.StartMain, 1, writer.Written.ToArray()).AsMemory(0, length));
        await using var connection = await AgentConnection.ConnectAsync(stream, Cancel.After(20));
        Assert.Equal(MainState.NotStarted, connection.Info.Main);
        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell("echo ok")));
    }

    [Fact]
    public async Task ConnectAsync_AfterAMessageThatLacksItsEnd_Works()
    {
        await using var stream = await _agent.OpenStreamAsync();
        await stream.WriteAsync(FrameTests.Wire(FrameType.Hello, 0, [.. new byte[16], 1, 0, 1, 0]));
        var part = new byte[Frame.MaxWireLength(1000)];
        var length = Frame.Write(FrameType.StartMain, Frame.More, 1, new byte[1000], new byte[1010], part);
        await stream.WriteAsync(part.AsMemory(0, length));
        await using var connection = await AgentConnection.ConnectAsync(stream, Cancel.After(20));
        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell("echo ok")));
    }

    [Fact]
    public async Task Agent_MessageWithoutEnd_IsRefusedAndForgotten()
    {
        await using (var stream = await _agent.OpenStreamAsync())
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.Hello, 0, [.. new byte[16], 1, 0, 1, 0]));
            var part = new byte[Frame.MaxWireLength(60_000)];
            var length = Frame.Write(FrameType.Configure, Frame.More, 1, new byte[60_000], new byte[60_010], part);
            for (var i = 0; i < 300; i++)
                await stream.WriteAsync(part.AsMemory(0, length));
        }

        await AssertServesAsync();
        var memory = File.ReadLines($"/proc/{_agent.Pid}/status").Single(line => line.StartsWith("VmRSS", StringComparison.Ordinal));
        Assert.InRange(int.Parse(memory.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], System.Globalization.CultureInfo.InvariantCulture), 1, 64 * 1024);
    }

    private async Task AssertServesAsync()
    {
        await using var connection = await _agent.ConnectAsync();
        Assert.Equal("ok\n", await AgentConnectionTests.ReadAllAsync(connection, AgentConnectionTests.Shell("echo ok")));
    }
}

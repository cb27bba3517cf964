using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;
using NanoVms.Tests.Agent.Protocol;

namespace NanoVms.Tests.Agent;

/// <summary>The host against a guest that answers as it pleases, over a real socket.</summary>
public sealed class HostileGuestTests
{
    [Fact]
    public async Task ConnectAsync_StaleBytesFirst_AreSkipped()
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(new byte[] { 200, 1, 2, 3 });
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(new byte[16])));
            await stream.WriteAsync(FrameTests.Wire(FrameType.Output, 4, new byte[100]));
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
        });
        await using var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20));
        Assert.Equal("9", connection.Info.Version);
    }

    [Fact]
    public async Task ConnectAsync_OtherVersion_SaysSo()
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, [.. token, 0, 0, 7, 0, 9, 0])));
        var failure = await Assert.ThrowsAsync<AgentException>(() => AgentConnection.ConnectAsync(guest.Host, Cancel.After(20)));
        Assert.Contains("versions 7 to 9", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyMethod_OlderAgent_DoesWhatItCanAndRefusesTheRest()
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token, version: 1)));
            await FakeGuest.ReadFrameAsync(stream, FrameType.Run);
            await stream.WriteAsync(FrameTests.Wire(FrameType.Exited, 1, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
            await FakeGuest.ReadFrameAsync(stream, FrameType.StartMain);
            await stream.WriteAsync(FrameTests.Wire(FrameType.Done, 2, []));
        });
        await using var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20));
        Assert.Equal(1, connection.Info.Protocol);
        var spec = new ProcessSpec { Command = ["x"] };
        Func<Task>[] refused =
        [
            () => connection.RunAsync(spec with { Account = "node" }, null, Cancel.After(20)),
            () => connection.RunAsync(spec with { Terminal = new TerminalSize(80, 25) }, null, Cancel.After(20)),
            () => connection.ExecAsync(spec, Cancel.After(20)),
            () => connection.StartMainAsync(spec with { HasInput = true }, Cancel.After(20)),
            () => connection.StartServiceAsync("x", spec, Cancel.After(20)),
            () => connection.AttachAsync("main", 0, Cancel.After(20)),
            () => connection.GetServicesAsync(Cancel.After(20)),
            () => connection.FreezeAsync(TimeSpan.FromSeconds(5), Cancel.After(20)),
        ];
        foreach (var action in refused)
        {
            var failure = await Assert.ThrowsAsync<AgentException>(action);
            Assert.Contains("older agent", failure.Message, StringComparison.Ordinal);
            Assert.False(failure.IsTransient);
        }

        Assert.Equal(0, (await connection.RunAsync(spec, null, Cancel.After(20))).ExitCode);
        await connection.StartMainAsync(spec, Cancel.After(20));
    }

    [Fact]
    public async Task ConnectAsync_NoiseOnly_EndsWithTheCaller()
    {
        await using var guest = FakeGuest.Start(async (stream, _) =>
        {
            var noise = new byte[65536];
            Random.Shared.NextBytes(noise);
            while (true)
                await stream.WriteAsync(noise);
        });
        using var cancel = new CancellationTokenSource(500);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => AgentConnection.ConnectAsync(guest.Host, cancel.Token));
    }

    [Fact]
    public async Task ConnectAsync_GuestCloses_IsTransient()
    {
        await using var guest = FakeGuest.Start((stream, _) =>
        {
            stream.Dispose();
            return Task.CompletedTask;
        });
        var failure = await Assert.ThrowsAsync<AgentException>(() => AgentConnection.ConnectAsync(guest.Host, Cancel.After(20)));
        Assert.True(failure.IsTransient);
    }

    [Fact]
    public async Task RunAsync_MoreOutputThanCredit_EndsTheConnection() =>
        await AssertBrokenAsync(Enumerable.Range(0, 100).SelectMany(i => FrameTests.Wire(FrameType.Output, 1, Output(i * 32768L, 32768))).ToArray());

    [Fact]
    public async Task RunAsync_TinyFramesWithoutEnd_EndTheConnection() =>
        await AssertBrokenAsync(Enumerable.Range(0, 5000).SelectMany(i => FrameTests.Wire(FrameType.Output, 1, Output(i, 1))).ToArray());

    [Fact]
    public async Task RunAsync_OffsetThatJumps_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.Output, 1, Output(5, 1)));

    [Fact]
    public async Task RunAsync_EmptyOutput_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.Output, 1, Output(0, 0)));

    [Fact]
    public async Task RunAsync_StreamThatNobodyOpened_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.Done, 77, []));

    [Fact]
    public async Task RunAsync_WrongAnswer_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.StatsReply, 1, new byte[64]));

    [Fact]
    public async Task RunAsync_ExitThatIsNone_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.Exited, 1, [9, 9, 9]));

    [Fact]
    public async Task RunAsync_Noise_EndsTheConnection() =>
        await AssertBrokenAsync([1, 2, 3, 4, 5, 0]);

    [Fact]
    public async Task RunAsync_RandomFrames_NeverHangOrEscape()
    {
        var random = new Random(11);
        for (var round = 0; round < 60; round++)
        {
            var frames = Enumerable.Range(0, random.Next(1, 8)).SelectMany(_ =>
            {
                var payload = new byte[random.Next(0, 60)];
                random.NextBytes(payload);
                return FrameTests.Wire((FrameType)random.Next(126, 138), (uint)random.Next(0, 3), payload);
            }).ToArray();
            await using var guest = FakeGuest.Start(async (stream, token) =>
            {
                await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
                await FakeGuest.ReadFrameAsync(stream, FrameType.Run);
                await stream.WriteAsync(frames);
                stream.Dispose();
            });
            await using var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20));
            try
            {
                await connection.RunAsync(new ProcessSpec { Command = ["x"] }, null, Cancel.After(20));
            }
            catch (AgentException)
            {
            }

            await connection.Disconnected.WaitAsync(Cancel.After(20));
        }
    }

    private static byte[] Output(long offset, int length)
    {
        var writer = new WireWriter();
        Messages.WriteOutput(writer, offset, false, 0, new byte[length]);
        return writer.Written.ToArray();
    }

    private static async Task AssertBrokenAsync(byte[] answer)
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await FakeGuest.ReadFrameAsync(stream, FrameType.Run);
            await stream.WriteAsync(answer);
        });
        await using var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20));

        // The consumer never takes a chunk, so nothing but the credit bounds what is kept.
        using var hold = new ManualResetEventSlim();
        var run = Task.Run(() => connection.RunAsync(new ProcessSpec { Command = ["x"] }, _ => hold.Wait(Cancel.After(20)), Cancel.After(20)));
        await (await Task.WhenAny(connection.Disconnected, run)).WaitAsync(Cancel.After(20)).ContinueWith(_ => { }, TaskScheduler.Default);
        hold.Set();
        var failure = await Assert.ThrowsAsync<AgentException>(() => run);
        Assert.Contains("broke the protocol", failure.Message, StringComparison.Ordinal);
        Assert.False(failure.IsTransient);
        await connection.Disconnected.WaitAsync(Cancel.After(20));
        await Assert.ThrowsAsync<AgentException>(() => connection.GetStatsAsync(Cancel.After(20)));
    }
}

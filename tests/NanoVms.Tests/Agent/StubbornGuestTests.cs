using NanoVms.Agent;
using NanoVms.Agent.Archives;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;
using NanoVms.Tests.Agent.Protocol;

namespace NanoVms.Tests.Agent;

/// <summary>The host against guests that do nothing, or no end of it: nothing waits for ever and nothing grows.</summary>
public sealed class StubbornGuestTests
{
    private readonly ManualTime _time = new();
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"stubborn-{Guid.NewGuid():N}");

    [Fact]
    public async Task AnyRequest_NoAnswer_EndsAtItsLimit()
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await stream.CopyToAsync(Stream.Null);
        });
        await using var connection = await ConnectAsync(guest);
        Func<Task>[] requests =
        [
            () => connection.GetStatsAsync(Cancel.After(20)),
            () => connection.GetServicesAsync(Cancel.After(20)),
            () => connection.FreezeAsync(TimeSpan.FromSeconds(9), Cancel.After(20)),
            () => connection.ShutdownAsync(Cancel.After(20)),
            () => connection.StartServiceAsync("x", new ProcessSpec { Command = ["x"] }, Cancel.After(20)),
            () => connection.CopyInAsync(new MemoryStream(new byte[400_000]), "/x", Cancel.After(20)),
            () => connection.Files(null).CopyOutAsync("/x", _folder, new CopyLimits(), Cancel.After(20)),
        ];
        foreach (var request in requests)
        {
            var failure = await FailAsync(request());
            Assert.True(failure.IsTransient);
        }

        Assert.False(connection.Disconnected.IsCompleted);
    }

    [Fact]
    public async Task AnyRequest_GuestReadsNothing_EndsTheConnectionAtItsLimit()
    {
        var forever = new TaskCompletionSource();
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await forever.Task;
        });
        await using var connection = await ConnectAsync(guest);
        var spec = new ProcessSpec { Command = ["x"], Environment = new Dictionary<string, string> { ["V"] = new('v', 3_000_000) } };

        // Whoever gives up is free at once, though the message is still on its way.
        using var impatient = new CancellationTokenSource(100);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connection.StartMainAsync(spec, impatient.Token));
        var failure = await FailAsync(connection.StartMainAsync(spec, Cancel.After(20)));
        Assert.True(failure.IsTransient);
        await connection.Disconnected.WaitAsync(Cancel.After(20));
        forever.SetResult();
    }

    [Fact]
    public async Task WriteAsync_GuestTakesNoInput_WaitsAndIsCanceled()
    {
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await stream.CopyToAsync(Stream.Null);
        });
        await using var connection = await ConnectAsync(guest);
        var process = await connection.ExecAsync(new ProcessSpec { Command = ["x"], HasInput = true }, Cancel.After(20));
        using var cancel = new CancellationTokenSource(100);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => process.WriteAsync(new byte[1], cancel.Token));

        // It is told to end, does not, and is given up after a while.
        var disposing = process.DisposeAsync().AsTask();
        await AdvanceUntilAsync(disposing);
    }

    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(Wire.InputWindow + 1u)]
    public async Task ExecAsync_MoreInputCreditThanAgreed_EndsTheConnection(uint credit) =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.InputCredit, 1, BitConverter.GetBytes(credit)));

    [Fact]
    public async Task ExecAsync_CreditWithoutEnd_EndsTheConnection() =>
        await AssertBrokenAsync(Enumerable.Range(0, 1000).SelectMany(_ => FrameTests.Wire(FrameType.InputCredit, 1, BitConverter.GetBytes(1000u))).ToArray());

    [Fact]
    public async Task ExecAsync_CutCredit_EndsTheConnection() => await AssertBrokenAsync(FrameTests.Wire(FrameType.InputCredit, 1, [1, 2]));

    [Fact]
    public async Task GetServicesAsync_ListThatLies_EndsTheConnection() =>
        await AssertBrokenAsync(FrameTests.Wire(FrameType.ServicesReply, 1, [255, 255, 255, 127]), c => c.GetServicesAsync(Cancel.After(20)));

    [Fact]
    public async Task CopyOutAsync_ArchiveWithoutEnd_StopsAtItsLimits()
    {
        // Attributes without any entry: nothing but the bytes themselves can be counted.
        var head = TarWriter.Head(new TarEntry(TarKind.File, "top/" + new string('n', 200), 0, 0, 0, 0, 0)).AsSpan(0, 1024).ToArray();
        var piece = Enumerable.Repeat(head, 31).SelectMany(b => b).ToArray();
        var sent = 0L;
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await FakeGuest.ReadFrameAsync(stream, FrameType.CopyOut);
            var credit = 256L * 1024;
            while (true)
            {
                for (; credit >= piece.Length + Wire.OutputCost; credit -= piece.Length + Wire.OutputCost, sent += piece.Length)
                    await stream.WriteAsync(FrameTests.Wire(FrameType.Output, 1, Output(sent, piece)));
                credit += BitConverter.ToUInt32(await FakeGuest.ReadFrameAsync(stream, FrameType.Credit));
            }
        });
        await using var connection = await ConnectAsync(guest);
        var failure = await Assert.ThrowsAsync<AgentException>(
            () => connection.Files(null).CopyOutAsync("/top", _folder, new CopyLimits(1 << 20, 200), Cancel.After(30)));
        Assert.Contains("goes on", failure.Message, StringComparison.Ordinal);
        Assert.InRange(sent, 1 << 20, 4 << 20);
        Assert.False(Path.Exists(_folder));
    }

    [Fact]
    public async Task ReadOutputAsync_NobodyReads_KeepsNoMoreThanItsWindow()
    {
        var sent = 0L;
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await FakeGuest.ReadFrameAsync(stream, FrameType.Exec);
            for (; sent < 100 << 20; sent += 32768)
                await stream.WriteAsync(FrameTests.Wire(FrameType.Output, 1, Output(sent, new byte[32768])));
        });
        await using var connection = await ConnectAsync(guest);
        await using var process = await connection.ExecAsync(new ProcessSpec { Command = ["x"] }, Cancel.After(20));
        var failure = await Assert.ThrowsAsync<AgentException>(() => process.Exited.WaitAsync(Cancel.After(20)));
        Assert.Contains("more output", failure.Message, StringComparison.Ordinal);
        Assert.InRange(sent, 0, 2 << 20);
    }

    private static byte[] Output(long offset, byte[] data)
    {
        var writer = new WireWriter();
        Messages.WriteOutput(writer, offset, false, 0, data);
        return writer.Written.ToArray();
    }

    private async Task AssertBrokenAsync(byte[] answer, Func<AgentConnection, Task>? action = null)
    {
        var asked = action is null ? FrameType.Exec : FrameType.ListServices;
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await FakeGuest.ReadFrameAsync(stream, asked);
            await stream.WriteAsync(answer);
        });
        await using var connection = await ConnectAsync(guest);
        action ??= async c => await (await c.ExecAsync(new ProcessSpec { Command = ["x"], HasInput = true }, Cancel.After(20))).Exited.WaitAsync(Cancel.After(20));
        var failure = await Assert.ThrowsAsync<AgentException>(() => action(connection));
        Assert.Contains("broke the protocol", failure.Message, StringComparison.Ordinal);
        await connection.Disconnected.WaitAsync(Cancel.After(20));
    }

    private Task<AgentConnection> ConnectAsync(FakeGuest guest) => AgentConnection.ConnectAsync(guest.Host, _time, Cancel.After(20));

    private async Task<AgentException> FailAsync(Task request)
    {
        await AdvanceUntilAsync(request);
        return await Assert.ThrowsAsync<AgentException>(() => request);
    }

    /// <summary>Moves time on whenever somebody waits for it.</summary>
    private async Task AdvanceUntilAsync(Task task)
    {
        var until = Cancel.After(20);
        while (!task.IsCompleted)
        {
            await Task.Delay(10, until);
            if (_time.Waiting > 0)
                _time.Advance(TimeSpan.FromSeconds(61));
        }
    }
}

using System.Security.Cryptography;
using System.Text;
using NanoVms.Agent;
using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Tests.Agent.Protocol;

public sealed class GoldenFramesTests
{
    [Fact]
    public void Frozen_LinesOfEarlierVersions_AreAsTheyWere()
    {
        // A line is added for each state of the file that was released; none is ever changed.
        (int Lines, string Hash)[] released = [(36, "8ae8f6e0eba1d3aa6533d940a2ad34dcf9cac1bd6caf2682e996de373dabf183")];
        foreach (var (lines, hash) in released)
            Assert.Equal(hash, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', GoldenFrames.Frozen.Take(lines))))));
    }

    [Fact]
    public void AgentFrames_AllTypes_AreFrozen()
    {
        var actual = GoldenFrames.OfAgent.Select(f => $"agent {f.Name} {Convert.ToHexStringLower(FrameTests.Wire(f.Type, 7, f.Payload))}");
        Assert.Equal(GoldenFrames.Frozen.Where(line => line.StartsWith("agent ", StringComparison.Ordinal)), actual);
        Assert.Equal(Enum.GetValues<FrameType>().Where(t => (int)t >= 128), GoldenFrames.OfAgent.Select(f => f.Type).Distinct().Order());
    }

    [Fact]
    public async Task HostFrames_AllRequests_AreFrozen()
    {
        var seen = new List<(FrameType Type, uint Stream, byte[] Payload)>();
        await using var guest = FakeGuest.Start(async (stream, token) =>
        {
            await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
            await AnswerAsync(stream, seen);
        });
        await using (var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20)))
            await GoldenFrames.AskAllAsync(connection);
        var actual = seen.Select(f => $"host {f.Type} {Convert.ToHexStringLower(FrameTests.Wire(f.Type, f.Stream, f.Payload))}");
        Assert.Equal(GoldenFrames.Frozen.Where(line => line.StartsWith("host ", StringComparison.Ordinal)), actual);

        // Hello has a random token, and is frozen elsewhere.
        var missing = Enum.GetValues<FrameType>().Where(t => (int)t is > 1 and < 128).Except(seen.Select(f => f.Type));
        Assert.Equal([FrameType.Credit, FrameType.Cancel], missing);
    }

    [Fact]
    public void Decoders_MutatedFrames_GiveAMessageOrAProtocolException()
    {
        var random = new Random(17);
        for (var round = 0; round < 30_000; round++)
        {
            var (_, type, payload) = GoldenFrames.OfAgent[random.Next(GoldenFrames.OfAgent.Count)];
            var wire = FrameTests.Wire(type, 1, Mutate(payload, random));
            if (random.Next(3) == 0)
                wire = Mutate(wire, random);
            var reader = new FrameReader();
            ReadOnlySpan<byte> rest = wire;
            while (reader.TryRead(ref rest, out var frame))
                DecodeOrRefuse(frame);
        }
    }

    [Fact]
    public async Task Connection_MutatedFrames_EndsEveryRequest()
    {
        var random = new Random(19);
        for (var round = 0; round < 150; round++)
        {
            var frames = Enumerable.Range(0, random.Next(1, 12)).SelectMany(_ =>
            {
                var (_, type, payload) = GoldenFrames.OfAgent[random.Next(2, GoldenFrames.OfAgent.Count)];
                var wire = FrameTests.Wire(type, (uint)random.Next(0, 6), random.Next(2) == 0 ? payload : Mutate(payload, random));
                return random.Next(8) == 0 ? Mutate(wire, random) : wire;
            }).ToArray();
            await using var guest = FakeGuest.Start(async (stream, token) =>
            {
                await stream.WriteAsync(FrameTests.Wire(FrameType.HelloAck, 0, FakeGuest.Ack(token)));
                await FakeGuest.ReadFrameAsync(stream, FrameType.CopyOut);
                await stream.WriteAsync(frames);
                stream.Dispose();
            });
            await using var connection = await AgentConnection.ConnectAsync(guest.Host, Cancel.After(20));
            await AskSomeAsync(connection);
            await connection.Disconnected.WaitAsync(Cancel.After(20));
        }
    }

    private static async Task AskSomeAsync(AgentConnection connection)
    {
        var spec = new ProcessSpec { Command = ["x"], HasInput = true };
        Task[] requests =
        [
            connection.GetStatsAsync(Cancel.After(20)),
            connection.GetServicesAsync(Cancel.After(20)),
            connection.RunAsync(spec with { HasInput = false }, null, Cancel.After(20)),
            Drain(connection.ExecAsync(spec, Cancel.After(20))),
            connection.Files(null).CopyOutAsync("/x", Path.Combine(Path.GetTempPath(), $"mutated-{Guid.NewGuid():N}"), new CopyLimits(1, 1), Cancel.After(20)),
        ];
        foreach (var request in requests)
        {
            try
            {
                await request;
            }
            catch (AgentException)
            {
                // Refused is what most of it should be.
            }
        }

        static async Task Drain(Task<GuestProcess> starting)
        {
            await using var process = await starting;
            await foreach (var _ in process.ReadOutputAsync(Cancel.After(20)))
                await process.WriteAsync(new byte[10], Cancel.After(20));
            await process.Exited;
        }
    }

    private static void DecodeOrRefuse(in Frame frame)
    {
        try
        {
            var reader = new WireReader(frame.Payload);
            switch (frame.Type)
            {
                case FrameType.HelloAck when frame.Payload.Length > 22:
                    reader = new WireReader(frame.Payload[22..]);
                    Messages.ReadInfo(ref reader);
                    break;
                case FrameType.Output:
                    Messages.ReadOutput(frame.Payload);
                    break;
                case FrameType.Exited or FrameType.MainExited:
                    Messages.ReadExit(ref reader);
                    break;
                case FrameType.StatsReply:
                    Messages.ReadStats(frame.Payload);
                    break;
                case FrameType.ServicesReply:
                    Messages.ReadServices(frame.Payload);
                    break;
                case FrameType.InputCredit:
                    new InputGate().Grant(reader.UInt32());
                    break;
                case FrameType.Failed:
                    reader.Line();
                    break;
            }
        }
        catch (ProtocolException)
        {
            // Refused.
        }
    }

    private static byte[] Mutate(byte[] bytes, Random random)
    {
        var mutated = bytes.ToList();
        for (var changes = random.Next(0, 5); changes > 0 && mutated.Count > 0; changes--)
        {
            var at = random.Next(mutated.Count);
            switch (random.Next(4))
            {
                case 0:
                    mutated[at] = (byte)random.Next(256);
                    break;
                case 1:
                    mutated[at] = (byte)(random.Next(2) * 255);
                    break;
                case 2:
                    mutated.RemoveAt(at);
                    break;
                default:
                    mutated.Insert(at, (byte)random.Next(256));
                    break;
            }
        }

        return [.. mutated];
    }

    /// <summary>Refuses every request but <c>Exec</c>, which it lets run until its input ends.</summary>
    private static async Task AnswerAsync(Stream stream, List<(FrameType, uint, byte[])> seen)
    {
        var reader = new FrameReader();
        var buffer = new byte[4096];
        int count;
        while ((count = await stream.ReadAsync(buffer)) > 0)
        {
            foreach (var (type, id, payload) in Take(reader, buffer.AsSpan(0, count)))
            {
                if (type == FrameType.Hello)
                    continue;
                seen.Add((type, id, payload));
                var answer = type switch
                {
                    FrameType.Exec => FrameTests.Wire(FrameType.InputCredit, id, BitConverter.GetBytes(1000u)),
                    FrameType.InputEnd when seen.Any(f => f is { Item1: FrameType.Exec } && f.Item2 == id) => FrameTests.Wire(FrameType.Exited, id, GoldenFrames.OfAgent.First(f => f.Name == "exited").Payload),
                    FrameType.CopyIn or FrameType.Input or FrameType.Resize or FrameType.Signal => [],
                    _ => FrameTests.Wire(FrameType.Failed, id, [1, 0, 0, 0, (byte)'n']),
                };
                await stream.WriteAsync(answer);
            }
        }
    }

    private static List<(FrameType Type, uint Stream, byte[] Payload)> Take(FrameReader reader, ReadOnlySpan<byte> bytes)
    {
        var frames = new List<(FrameType, uint, byte[])>();
        while (reader.TryRead(ref bytes, out var frame))
            frames.Add((frame.Type, frame.Stream, frame.Payload.ToArray()));
        return frames;
    }
}

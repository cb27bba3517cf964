using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace BytePort.Server.Tests.Grpc;

/// <summary>@grpc/grpc-js in a Node process of its own, which makes the calls that tests ask for.</summary>
internal sealed class GrpcClient : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly Process _node;
    private readonly Task _reading;
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonNode>> _waiting = new();
    private readonly SemaphoreSlim _writing = new(1);
    private int _last;

    private GrpcClient(Process node)
    {
        _node = node;
        _reading = ReadAsync();
    }

    public static GrpcClient Start(params string[] protos)
    {
        var folder = Path.Combine(Repository.Root, "tests", "BytePort.Server.Tests", "Grpc", "client");
        Assert.True(Directory.Exists(Path.Combine(folder, "node_modules")), $"The client's packages are missing. Run 'npm ci' in {folder}; './byteport test Server' does.");
        var start = new ProcessStartInfo("node") { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        start.ArgumentList.Add("client.mjs");
        foreach (var proto in protos)
            start.ArgumentList.Add(Path.Combine(Repository.Root, proto));
        return new GrpcClient(Process.Start(start)!);
    }

    /// <summary>Makes a call and waits for its end.</summary>
    /// <param name="command">What client.mjs understands: address, service, method, request, metadata, deadline, cancelAfter, options.</param>
    public async Task<Outcome> CallAsync(JsonObject command)
    {
        var id = Interlocked.Increment(ref _last);
        var waiting = _waiting[id] = new(TaskCreationOptions.RunContinuationsAsynchronously);
        command["id"] = id;
        await _writing.WaitAsync();
        try
        {
            await _node.StandardInput.WriteLineAsync(command.ToJsonString());
            await _node.StandardInput.FlushAsync();
        }
        finally
        {
            _ = _writing.Release();
        }

        return (await waiting.Task.WaitAsync(Limit)).Deserialize<Outcome>(JsonSerializerOptions.Web)!;
    }

    public async ValueTask DisposeAsync()
    {
        _node.StandardInput.Close();
        await _reading;
        await _node.WaitForExitAsync();
        _node.Dispose();
        _writing.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _node.StandardOutput.ReadLineAsync() is { } line)
        {
            var outcome = JsonNode.Parse(line)!;
            if (_waiting.TryRemove((int)outcome["id"]!, out var waiting))
                waiting.SetResult(outcome);
        }

        foreach (var waiting in _waiting.Values)
            _ = waiting.TrySetException(new InvalidOperationException("The Node client ended; what it wrote on standard error is above."));
    }

    /// <summary>How a call ended.</summary>
    internal sealed record Outcome(
        int Code,
        string Details,
        IReadOnlyList<JsonObject> Messages,
        IReadOnlyDictionary<string, string[]> Headers,
        IReadOnlyDictionary<string, string[]> Trailers,
        double Milliseconds);
}

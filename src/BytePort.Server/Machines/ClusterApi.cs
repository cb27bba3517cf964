using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using BytePort.Server.Grpc;
using BytePort.Server.Hosting;
using BytePort.Server.Machines.Cluster;
using ClusterNode = BytePort.Server.Machines.Cluster.Node;
using ServerNode = BytePort.Server.Hosting.Node;

namespace BytePort.Server.Machines;

/// <summary>The machines by themselves over gRPC, as cluster.proto describes them.</summary>
internal sealed class ClusterApi(MachineService machines, MachineLogs logs, ServerOptions options, ServerNode node)
{
    private const int MaxLines = 5000;
    private const int MaxLogCharacters = 1 << 20;

    public static GrpcService Create(ClusterApi api) => new(
        "cluster.services.api.ClusterService",
        [
            GrpcMethod.Unary("Spawn", VmSpawnRequest.Parser, (request, call, cancellationToken) => WithStatusAsync(() => api.SpawnAsync(request, call, cancellationToken))),
            GrpcMethod.Unary("Stop", VmStopRequest.Parser, (request, call, cancellationToken) => WithStatusAsync(() => api.StopAsync(request, call, cancellationToken))),
            GrpcMethod.Unary("List", VmQueryRequest.Parser, (_, call, _) => Task.FromResult(api.List(call))),
            GrpcMethod.Unary("Logs", VmLogsRequest.Parser, (request, call, _) => WithStatusAsync(() => Task.FromResult(api.ReadLogs(request, call)))),
        ]);

    private async Task<VmSpawnResponse> SpawnAsync(VmSpawnRequest source, GrpcCall call, CancellationToken cancellationToken)
    {
        var request = Read(source);
        if (source.DryRun)
        {
            await machines.CheckAsync(call.Caller.TeamId, request, cancellationToken);
            return new();
        }

        var machine = await machines.SpawnAsync(call.Caller.TeamId, request, cancellationToken);
        return new() { Id = machine.Id, Url = Url(request) };
    }

    private async Task<ClusterNode> StopAsync(VmStopRequest request, GrpcCall call, CancellationToken cancellationToken)
    {
        _ = await machines.StopAsync(call.Caller.TeamId, request.Id, MachineService.DefaultGrace, cancellationToken);
        return Here();
    }

    private NodesStateResponse List(GrpcCall call)
    {
        var state = new NodeStateResponse { Node = Here() };
        foreach (var machine in machines.List(call.Caller.TeamId))
            state.Workloads.Add(new WorkloadState { Id = machine.Id, SourceRequest = Write(MachineService.RequestOf(machine)) });
        return new() { States = { state } };
    }

    private VmLogsResponse ReadLogs(VmLogsRequest request, GrpcCall call)
    {
        var machine = machines.Get(call.Caller.TeamId, request.Id);
        var text = string.Concat(logs.Tail(machine.Id, MaxLines, out _).Select(entry => $"{entry.Line.Text}\n"));
        return new() { Logs = text.Length <= MaxLogCharacters ? text : text[^MaxLogCharacters..] };
    }

    private static MachineRequest Read(VmSpawnRequest source)
    {
        var environment = new Dictionary<string, string>();
        foreach (var entry in source.Env)
        {
            var equals = entry.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
                throw new GrpcException(GrpcStatusCode.InvalidArgument, $"env '{(entry.Length <= 40 ? entry : $"{entry[..40]}…")}' is not NAME=VALUE.");
            environment[entry[..equals]] = entry[(equals + 1)..];
        }

        if (source.Ports.Any(pair => pair.Key is 0 or > 65535 || pair.Value is 0 or > 65535))
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "Ports are from 1 to 65535.");
        return new()
        {
            Name = NameOf(source.ImageRef),
            Cores = source.Cores == 0 ? 1 : source.Cores,
            MemoryMiB = source.Memory == 0 ? 256 : source.Memory,
            Ref = source.ImageRef,
            Environment = environment,
            Ports = source.Ports.ToDictionary(pair => (int)pair.Key, pair => (int)pair.Value),
        };
    }

    private static VmSpawnRequest Write(MachineRequest request)
    {
        var source = new VmSpawnRequest { Cores = request.Cores, Memory = (uint)request.MemoryMiB, ImageRef = request.Image };
        source.Env.Add(request.Environment.Select(pair => $"{pair.Key}={pair.Value}"));
        foreach (var (host, guest) in request.Ports)
            source.Ports.Add((uint)host, (uint)guest);
        return source;
    }

    /// <summary>Spawn has no name: the image's last part is one, without its registry and digest.</summary>
    private static string NameOf(string reference)
    {
        var last = reference[(reference.LastIndexOf('/') + 1)..];
        var digest = last.IndexOf("@sha256:", StringComparison.Ordinal);
        var name = string.Concat((digest < 0 ? last : last[..digest]).ToLowerInvariant()
            .Select(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) ? character : '-')).Trim('-');
        return name.Length switch { 0 => "machine", <= 60 => name, _ => name[..60].TrimEnd('-') };
    }

    private string Url(MachineRequest request) =>
        request.Ports.Count == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"http://{Address()}:{request.Ports.Keys.First()}/");

    private ClusterNode Here() => new() { Id = node.Id, Ip = Address() };

    /// <summary>Where the platform listens; for a wildcard the host's first own address.</summary>
    private string Address()
    {
        if (!IPAddress.TryParse(options.ListenHost.Trim('[', ']'), out var address))
            return IPAddress.Loopback.ToString();
        if (!address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any))
            return address.ToString();
        var own = NetworkInterface.GetAllNetworkInterfaces()
            .Where(card => card.OperationalStatus == OperationalStatus.Up && card.NetworkInterfaceType != NetworkInterfaceType.Loopback)
            .Where(card => card.GetIPProperties().GatewayAddresses.Count > 0)
            .SelectMany(card => card.GetIPProperties().UnicastAddresses)
            .FirstOrDefault(unicast => unicast.Address.AddressFamily == AddressFamily.InterNetwork);
        return (own?.Address ?? IPAddress.Loopback).ToString();
    }

    private static async Task<T> WithStatusAsync<T>(Func<Task<T>> action)
    {
        try
        {
            return await action();
        }
        catch (MachineFaultException e)
        {
            var status = e.Fault switch
            {
                MachineFault.Invalid => GrpcStatusCode.InvalidArgument,
                MachineFault.NotFound => GrpcStatusCode.NotFound,
                MachineFault.Unsupported => GrpcStatusCode.Unimplemented,
                MachineFault.Exhausted => GrpcStatusCode.ResourceExhausted,
                MachineFault.WrongState => GrpcStatusCode.FailedPrecondition,
                MachineFault.Unavailable => GrpcStatusCode.Unavailable,
                _ => GrpcStatusCode.Internal,
            };
            throw new GrpcException(status, e.Message, e);
        }
    }
}

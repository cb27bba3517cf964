using System.Text.Json;
using System.Text.Json.Serialization;
using BytePort.Cli.Deployments;
using BytePort.Cli.Login;

namespace BytePort.Cli.Api;

/// <summary>Serialization without reflection: it is most of the start-up time otherwise.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ConsolePage))]
[JsonSerializable(typeof(ConsolePiece))]
[JsonSerializable(typeof(MachineTemplate))]
[JsonSerializable(typeof(IReadOnlyList<MachineTemplate>))]
[JsonSerializable(typeof(Page<MachineTemplate>))]
[JsonSerializable(typeof(TemplateRequest))]
[JsonSerializable(typeof(IReadOnlyList<MachineDisk>))]
[JsonSerializable(typeof(Page<MachineDisk>))]
[JsonSerializable(typeof(Deployment))]
[JsonSerializable(typeof(DeploymentRequest))]
[JsonSerializable(typeof(DeployResult))]
[JsonSerializable(typeof(ExecControl))]
[JsonSerializable(typeof(ExecEnd))]
[JsonSerializable(typeof(ExecRequest))]
[JsonSerializable(typeof(ExecResult))]
[JsonSerializable(typeof(IReadOnlyList<Deployment>))]
[JsonSerializable(typeof(IReadOnlyList<Machine>))]
[JsonSerializable(typeof(IReadOnlyList<MachineDriver>))]
[JsonSerializable(typeof(IReadOnlyList<Project>))]
[JsonSerializable(typeof(EmptyRequest))]
[JsonSerializable(typeof(InfoResult))]
[JsonSerializable(typeof(LogPage))]
[JsonSerializable(typeof(LoginFile))]
[JsonSerializable(typeof(MachineStats))]
[JsonSerializable(typeof(MachineSnapshot))]
[JsonSerializable(typeof(RestoreRequest))]
[JsonSerializable(typeof(Page<MachineSnapshot>))]
[JsonSerializable(typeof(IReadOnlyList<MachineSnapshot>))]
[JsonSerializable(typeof(Page<Deployment>))]
[JsonSerializable(typeof(Page<Machine>))]
[JsonSerializable(typeof(Page<MachineDriver>))]
[JsonSerializable(typeof(Page<Project>))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(ServerInfo))]
[JsonSerializable(typeof(SpawnRequest))]
[JsonSerializable(typeof(Upload))]
internal sealed partial class ApiJson : JsonSerializerContext;

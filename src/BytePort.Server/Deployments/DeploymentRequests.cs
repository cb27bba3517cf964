namespace BytePort.Server.Deployments;

internal sealed record CreateDeployment(SourceRequest? Source);

/// <summary>Exactly one of the kinds.</summary>
internal sealed record SourceRequest(GitRequest? Git, UploadRequest? Upload);

internal sealed record GitRequest(string? Url, string? Ref);

internal sealed record UploadRequest(Guid Id);

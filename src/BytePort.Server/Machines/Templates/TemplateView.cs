namespace BytePort.Server.Machines.Templates;

/// <param name="Image">The stack, image or operating system that its machines stand on.</param>
/// <param name="Scripts">The events that it has a script for.</param>
/// <param name="HasConfig">True when files are laid over the guest's root.</param>
/// <param name="HasData">True when its machines share a folder.</param>
/// <param name="Digest">SHA-256 of all that was pushed.</param>
/// <param name="Files">How many were pushed.</param>
/// <param name="Size">Of the files that were pushed, in bytes.</param>
internal sealed record TemplateView(
    string Name,
    string? Description,
    string Image,
    string Driver,
    uint Cores,
    int MemoryMiB,
    bool IsPersistent,
    IReadOnlyList<string> Scripts,
    bool HasConfig,
    bool HasData,
    string Digest,
    int Files,
    long Size,
    DateTimeOffset PushedAt)
{
    public static TemplateView Of(TemplateRecord record, TemplateContent content, bool hasData)
    {
        var file = content.File;
        return new(
            record.Name, file.Description, file.Os ?? file.Ref!.Text, file.Driver, file.Cores, file.MemoryMiB, file.IsPersistent, [.. content.Scripts.Order(StringComparer.Ordinal)],
            content.HasConfig, hasData, record.Digest, record.Files, record.Size, record.PushedAt);
    }
}

/// <summary>What a template's folder keeps beside its versions. Fields are only ever added.</summary>
/// <param name="Version">The folder that counts.</param>
internal sealed record TemplateRecord(string Name, string Version, string Digest, int Files, long Size, DateTimeOffset PushedAt);

using NanoVms.Machines;

namespace NanoVms.Images.Oci;

/// <summary>An image of a registry as machines use it.</summary>
/// <param name="Reference">As it was asked for, completed.</param>
/// <param name="Digest">Of its manifest for this kind of computer: gives this very image again.</param>
/// <param name="Layers">EROFS files, lowest first.</param>
public sealed record OciImage(string Reference, string Digest, IReadOnlyList<string> Layers, OciConfig Config)
{
    /// <summary>
    /// The process that the image is made for: its entry point with its arguments, in its folder, as its user. Without any, a shell.
    /// </summary>
    /// <param name="arguments">In place of the image's own, or null.</param>
    public ProcessSpec ToProcess(IReadOnlyList<string>? arguments = null)
    {
        List<string> command = [.. Config.Entrypoint, .. arguments ?? Config.Cmd];
        return new ProcessSpec
        {
            Command = command.Count > 0 ? command : ["/bin/sh"],
            Environment = Config.ReadEnvironment(),
            WorkingDirectory = Config.WorkingDir is { Length: > 0 } folder ? folder : "/",
            Account = Config.User is { Length: > 0 } user ? user : null,
        };
    }
}

using System.Text.Json;
using BytePort.Cli.Api;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Login;

/// <summary>Where the server is and what opens it, as kept in login.json (0600).</summary>
internal sealed record LoginFile(string Url, string? Token)
{
    private const int MaxBytes = 64 * 1024;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The user's own: $XDG_CONFIG_HOME/byteport/login.json, by default ~/.config/byteport/login.json.</summary>
    public static string DefaultPath(CliHost host)
    {
        var config = host.Variable("XDG_CONFIG_HOME") is { Length: > 0 } folder && Path.IsPathRooted(folder)
            ? folder
            : Path.Combine(host.Variable("HOME") ?? "/", ".config");
        return Path.Combine(config, "byteport", "login.json");
    }

    /// <returns>Null when there is no such file.</returns>
    public static LoginFile? Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            if (stream.Length <= MaxBytes && JsonSerializer.Deserialize(stream, ApiJson.Default.LoginFile) is { Url: not null } login)
                return login;
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new CliException(ExitCode.NotSignedIn, $"Cannot read {path}: {exception.Message} Remove it and run byteport login.");
        }

        throw new CliException(ExitCode.NotSignedIn, $"{path} is not a login file. Remove it and run byteport login.");
    }

    /// <summary>Writes aside and renames, so that nobody ever reads half of it or reads it at all.</summary>
    public void Write(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var aside = $"{path}.{Environment.ProcessId}";
        using (var stream = new FileStream(aside, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
            JsonSerializer.Serialize(stream, this, ApiJson.Default.LoginFile);
        File.Move(aside, path, overwrite: true);
    }
}

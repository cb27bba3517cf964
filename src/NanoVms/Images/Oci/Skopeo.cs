using System.Globalization;
using NanoVms.Commands;

namespace NanoVms.Images.Oci;

/// <summary>The command lines of skopeo: pure, run elsewhere.</summary>
internal static class Skopeo
{
    private const int MaxDocument = 4 << 20;
    private static readonly TimeSpan AskLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan CopyLimit = TimeSpan.FromMinutes(30);

    /// <summary>Prints the manifest or the index as the registry has it.</summary>
    public static Command Inspect(OciReference reference, string authFile, bool insecure) => new(
        "skopeo",
        ["inspect", "--raw", "--retry-times=2", $"--tls-verify={Text(!insecure)}", $"--authfile={authFile}", $"docker://{reference}"])
    { Timeout = AskLimit, MaxOutputBytes = MaxDocument, Environment = NoHome };

    /// <summary>Fetches an image into a folder of its own, and its blobs into another; none of them may be longer than a limit.</summary>
    public static Command Copy(OciReference reference, string authFile, bool insecure, string blobs, string folder, long maxBytes) => new(
        "prlimit",
        [
            $"--fsize={maxBytes.ToString(CultureInfo.InvariantCulture)}", "--", ProgramLocator.Require("skopeo"), "copy", "--quiet", "--retry-times=2", "--format=oci",
            $"--dest-shared-blob-dir={blobs}", $"--src-tls-verify={Text(!insecure)}", $"--src-authfile={authFile}", $"docker://{reference}", $"oci:{folder}:image",
        ])
    { Timeout = CopyLimit, Environment = NoHome };

    // What the computer's administrator is signed in to is not for whoever asks for an image.
    private static Dictionary<string, string> NoHome => new() { ["HOME"] = "/nonexistent", ["XDG_RUNTIME_DIR"] = "/nonexistent" };

    private static string Text(bool value) => value ? "true" : "false";
}

using System.Security.Cryptography;
using System.Text;
using BytePort.Server.Machines;
using NanoVms.Images;
using NanoVms.Machines;
using NanoVms.Network;

namespace BytePort.Server.Hosting;

/// <summary>Where this platform's machines live and what they boot.</summary>
internal static class Machines
{
    public static MachineHostOptions Options(ServerOptions options, ImageStore images) => new()
    {
        Folder = options.InData("machines"),
        CacheFolder = options.CacheFolder,
        AgentPath = options.AgentPath,
        Network = new NetworkOptions { BridgeName = BridgeName(options.DataFolder), Rate = options.MachineLimits.ToRate() },
        Io = options.MachineLimits.ToIo(),
        Boot = async cancellationToken =>
        {
            if (!File.Exists(options.AgentPath))
            {
                throw new StartException($"The guest agent is not at {options.AgentPath}. Build it by 'byteport up', or say where it is by --agent.");
            }

            return await images.GetBootAsync(options.AgentPath, null, cancellationToken);
        },
    };

    /// <summary>A bridge for each data folder, so that several platforms live on one host; interface names hold 15 characters.</summary>
    private static string BridgeName(string folder) => "bp" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..8];
}

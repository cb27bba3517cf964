using NanoVms.Images;
using NanoVms.Machines;

namespace BytePort.Server.Hosting;

/// <summary>Where this platform's machines live and what they boot.</summary>
internal static class Machines
{
    public static MachineHostOptions Options(ServerOptions options, ImageStore images) => new()
    {
        Folder = options.InData("machines"),
        CacheFolder = options.CacheFolder,
        Boot = async cancellationToken =>
        {
            if (!File.Exists(options.AgentPath))
            {
                throw new StartException($"The guest agent is not at {options.AgentPath}. Build it by 'byteport up', or say where it is by --agent.");
            }

            var kernel = await images.GetKernelAsync(null, cancellationToken);
            return new BootFiles(kernel.VmlinuxPath, await images.GetInitramfsAsync(options.AgentPath, null, cancellationToken));
        },
    };
}

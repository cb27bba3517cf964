using BytePort.Manifest.Hac;
using NanoVms.Images;
using NanoVms.Images.Collection;
using NanoVms.Images.Oci;
using NanoVms.Machines;
using NanoVms.Systems;

namespace BytePort.Server.Machines;

/// <summary>What a machine by itself stands on: layers, the environment of its processes, and how its main process is started.</summary>
/// <param name="Layers">EROFS files, lowest first.</param>
/// <param name="Environment">Of the image, under what the request adds.</param>
/// <param name="ToMain">Makes the main process of the request's command; null for none.</param>
/// <param name="StopSignal">What the main process gets when the machine is stopped.</param>
internal sealed record MachineImage(
    IReadOnlyList<string> Layers, IReadOnlyDictionary<string, string> Environment, Func<IReadOnlyList<string>, ProcessSpec?> ToMain, int StopSignal = MachineImage.Sigterm)
{
    private const int Sigterm = 15;

    /// <summary>Processes of a stack are its user's, mostly root's, in the root, and there is none unless somebody names it.</summary>
    public static MachineImage Of(StackImage stack) => new(
        stack.Layers,
        new Dictionary<string, string>(stack.Environment.Select(pair => pair))
        {
            ["PATH"] = stack.Environment.GetValueOrDefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ["HOME"] = stack.Environment.GetValueOrDefault("HOME", stack.User == "root" ? "/root" : stack.User == "app" ? "/home/app" : "/"),
            ["LANG"] = stack.Environment.GetValueOrDefault("LANG", "C.UTF-8"),
        },
        command => command.Count == 0 ? null : new ProcessSpec { Command = command, Account = stack.User == "root" ? null : stack.User });

    /// <summary>An image says what runs in it; a command stands in place of the arguments that it has for its entry point.</summary>
    public static MachineImage Of(OciImage image) => new(
        image.Layers, image.ToProcess().Environment, command => image.ToProcess(command.Count == 0 ? null : command), image.Config.StopSignalNumber);

    /// <summary>An operating system of the catalogue, fetched when it is not there yet. Nothing runs in it unless somebody names it.</summary>
    /// <exception cref="MachineFaultException">There is none, or it cannot be had now.</exception>
    public static async Task<MachineImage> GetAsync(SystemStore systems, string name, ImageLease use, CancellationToken cancellationToken)
    {
        try
        {
            return Of(new StackImage(name, "", await systems.GetAsync(name, null, cancellationToken, use), new Dictionary<string, string>()));
        }
        catch (ImageException e)
        {
            throw new MachineFaultException(e.IsTransient ? MachineFault.Unavailable : MachineFault.Invalid, e.Message, e);
        }
    }

    /// <summary>Makes or fetches it when it is not there yet.</summary>
    /// <param name="team">Who asks: what another has fetched with credentials is not for them.</param>
    /// <param name="use">Keeps it until the machine has started.</param>
    /// <exception cref="MachineFaultException">There is none, or it cannot be had now.</exception>
    public static async Task<MachineImage> GetAsync(ImageStore store, ImageReference reference, string team, ImageLease use, CancellationToken cancellationToken)
    {
        try
        {
            return reference.IsStack
                ? Of(await store.GetStackAsync(reference.Text, null, cancellationToken, use))
                // Tenants name registries: none of them may make the server speak to the computer's own network.
                : Of(await store.PullAsync(reference.Text, new OciPullOptions { AllowPrivateAddresses = false, Owner = team }, null, cancellationToken, use));
        }
        catch (ImageException e)
        {
            throw new MachineFaultException(e.IsTransient ? MachineFault.Unavailable : MachineFault.Invalid, e.Message, e);
        }
    }
}

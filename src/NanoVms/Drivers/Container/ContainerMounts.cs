using System.Globalization;
using Microsoft.Win32.SafeHandles;
using NanoVms.Drivers.Isolation;
using NanoVms.Machines;

namespace NanoVms.Drivers.Container;

/// <summary>
/// A container's files, made ready in mounts that only the launching thread and the container see. They end with the container, and the
/// loop devices beneath them with the mounts, so that no crash leaves any.
/// </summary>
internal static class ContainerMounts
{
    private const string Folder = PrivateMounts.Folder;
    public const string Root = Folder + "/root";
    public const string Agent = Folder + "/agent";

    /// <summary>Layers that one page of options to the overlay has room for, with much to spare.</summary>
    public const int MaxLayers = 100;

    private const string Hybrid = "/sys/fs/cgroup/unified";

    public static string DriveOf(DriveSpec drive) => $"{Folder}/drive-{drive.Name}";

    /// <summary>To be called on a thread that ends soon after, and starts the container before.</summary>
    /// <param name="layers">Lowest first.</param>
    /// <param name="drives">In the order of the specification's.</param>
    /// <exception cref="IOException">Something cannot be mounted; the message names it.</exception>
    public static void Make(
        MachineSpec spec, IReadOnlyList<LoopDevice> layers, LoopDevice disk, IReadOnlyList<LoopDevice> drives, string agent, ContainerUsers users, SafeFileHandle userNamespace)
    {
        Mounting.Separate();
        // crun refuses version 2 beside version 1; the machine's groups are of version 1 then.
        if (File.Exists(Hybrid + "/cgroup.procs"))
            Mounting.Unmount(Hybrid);
        Mounting.Mount("tmpfs", Folder, "tmpfs", Mounting.NoSuid, "mode=0755,size=256k");

        var lower = new List<string>();
        for (var i = 0; i < layers.Count; i++)
        {
            var place = Place(string.Create(CultureInfo.InvariantCulture, $"l{i}"));
            try
            {
                Mounting.Mount(layers[i].Path, place, "erofs", Mounting.ReadOnly | Mounting.NoAccessTimes | Mounting.NoDevices, null);
            }
            catch (IOException e)
            {
                throw new IOException($"Layer {spec.Layers[i]} cannot be mounted: {e.Message}", e);
            }

            Mounting.MapOwners(place, userNamespace);
            lower.Insert(0, place);
        }

        if (lower.Count == 0)
            lower.Add(Place("empty"));
        Mounting.Mount(disk.Path, Place("disk"), "ext4", Mounting.NoAccessTimes | Mounting.NoDevices, null);
        var upper = Place("disk/upper");
        Mounting.ChangeOwner(upper, users.First);
        Mounting.Mount(
            "overlay", Place("root"), "overlay", Mounting.NoAccessTimes | Mounting.NoDevices, $"lowerdir={string.Join(':', lower)},upperdir={upper},workdir={Place("disk/work")}");

        File.WriteAllBytes(Agent, []);
        Mounting.Mount(agent, Agent, null, Mounting.Bind, null);
        for (var i = 0; i < drives.Count; i++)
            Mounting.MakeBlockDevice(DriveOf(spec.Drives[i]), drives[i].Device, users.First);
    }

    private static string Place(string name) => Directory.CreateDirectory($"{Folder}/{name}").FullName;
}

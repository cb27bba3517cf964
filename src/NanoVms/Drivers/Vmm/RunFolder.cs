using NanoVms.Drivers.Isolation;
using NanoVms.Images;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// The working folder of a hypervisor that takes files by their paths. Its sockets are made there. Each file that it may use appears there
/// in its jail, until it has opened it; as the names are the same for every machine, a snapshot of one fits another.
/// </summary>
internal sealed class RunFolder
{
    public const string Kernel = "kernel";
    public const string Initramfs = "initramfs";
    public const string Disk = "disk";
    public const string VsockSocket = "vsock.sock";

    private readonly List<JailPlace> _places = [];
    private readonly uint _user;

    /// <param name="path">Made new.</param>
    /// <param name="user">Owns the folder and becomes the owner of writable files.</param>
    public RunFolder(string path, uint user)
    {
        Path = path;
        _user = user;
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
        _ = Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        FileOwner.Set(path, user, user);
    }

    public string Path { get; }

    public IReadOnlyList<JailPlace> Places => _places;

    /// <summary>Where it is unless a hypervisor's own jailer wants it elsewhere.</summary>
    public static string In(string machineFolder) => System.IO.Path.Combine(machineFolder, "vm");

    public static string LayerName(int index) => $"layer{index}";

    public static string DriveName(int index) => $"drive{index}";

    /// <summary>What every machine boots and has for disks.</summary>
    /// <exception cref="IOException">A file is not there, or users may not read it.</exception>
    public void AddMachine(MachinePlan plan)
    {
        AddReadable(Kernel, plan.Boot.KernelPath);
        AddReadable(Initramfs, plan.Boot.InitramfsPath);
        for (var i = 0; i < plan.Spec.Layers.Count; i++)
            AddReadable(LayerName(i), plan.Spec.Layers[i]);
        AddWritable(Disk, plan.DiskPath);
        for (var i = 0; i < plan.Spec.Drives.Count; i++)
        {
            if (plan.Spec.Drives[i].ReadOnly)
                AddReadable(DriveName(i), plan.Spec.Drives[i].Path);
            else
                AddWritable(DriveName(i), plan.Spec.Drives[i].Path);
        }
    }

    /// <summary>A file that the hypervisor reads.</summary>
    /// <param name="name">May be in a folder of this folder.</param>
    /// <exception cref="IOException">It is not there, or users may not read it.</exception>
    public void AddReadable(string name, string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        // Opened by the hypervisor's user; the folders above it may be closed, as it does not go through them.
        if ((File.GetUnixFileMode(handle) & UnixFileMode.OtherRead) == 0)
            throw new IOException($"The hypervisor runs as a user of its own, who may not read {path}. Allow it with: chmod o+r {path}");
        _places.Add(new JailPlace(name, path, IsReadOnly: true));
    }

    /// <summary>A file that the hypervisor also writes; it becomes its user's.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    public void AddWritable(string name, string path)
    {
        FileOwner.Set(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path, _user, _user);
        _places.Add(new JailPlace(name, path, IsReadOnly: false));
    }
}

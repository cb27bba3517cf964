using System.Globalization;
using System.Runtime.InteropServices;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Machines;

namespace NanoVms.Drivers.Vmm;

/// <summary>
/// The working folder of a hypervisor that takes files by their paths: its sockets are made there, and each file that it may use is a link
/// there to a file that it was handed open. So it can reach nothing else, whatever user owns the folders on the way, and as
/// the names are the same for every machine, a snapshot of one fits another.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    private const string Name = "vm";
    private readonly List<(string Name, SafeHandle Handle)> _files = [];
    private readonly string _path;
    private readonly uint _user;

    /// <param name="user">Owns the folder and becomes the owner of writable files.</param>
    public RunFolder(string machineFolder, uint user)
    {
        _path = In(machineFolder);
        _user = user;
        if (Directory.Exists(_path))
            Directory.Delete(_path, recursive: true);
        _ = Directory.CreateDirectory(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public static string In(string machineFolder) => Path.Combine(machineFolder, Name);

    /// <summary>A file that the hypervisor reads.</summary>
    /// <exception cref="IOException">It is not there, or users may not read it.</exception>
    public void AddReadable(string name, string path)
    {
        var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        Add(name, handle);
        // Opened again through the link, by the hypervisor's user.
        if ((File.GetUnixFileMode(handle) & UnixFileMode.OtherRead) == 0)
            throw new IOException($"The hypervisor runs as a user of its own, who may not read {path}. Allow it with: chmod o+r {path}");
    }

    /// <summary>A file that the hypervisor also writes; it becomes its user's.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    public void AddWritable(string name, string path)
    {
        Add(name, File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
        FileOwner.Set(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path, _user, _user);
    }

    /// <summary>A drive, as it may be used.</summary>
    /// <exception cref="IOException">It is not there, or users may not read it.</exception>
    public void AddDrive(string name, DriveSpec drive)
    {
        if (drive.ReadOnly)
            AddReadable(name, drive.Path);
        else
            AddWritable(name, drive.Path);
    }

    /// <summary>Something open; it is closed here with this object.</summary>
    public void Add(string name, SafeHandle handle) => _files.Add((name, handle));

    /// <summary>A small file that is made for this hypervisor alone.</summary>
    public async Task AddTextAsync(string name, string text, CancellationToken cancellationToken)
    {
        var path = Path.Combine(_path, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllTextAsync(path, text, cancellationToken);
        FileOwner.Set(path, _user, _user);
    }

    /// <summary>Starts the hypervisor in the folder, without rights, and with the computer's network only when it has to open a tap there.</summary>
    /// <param name="command">Makes the command; it is told the numbers of the open files by their names.</param>
    /// <exception cref="CommandException">It cannot be started.</exception>
    public ProcessIdentity Start(Func<IReadOnlyDictionary<string, int>, Command> command, uint? group, bool opensTap, ErrorTail errors)
    {
        var handles = _files.Select(file => file.Handle).ToList();
        var numbers = DetachedProcess.NumbersFor(handles);
        for (var i = 0; i < numbers.Length; i++)
        {
            var link = Path.Combine(_path, _files[i].Name);
            _ = Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            File.CreateSymbolicLink(link, $"/proc/self/fd/{numbers[i].ToString(CultureInfo.InvariantCulture)}");
        }

        FileOwner.Set(_path, _user, _user);
        try
        {
            var inner = command(_files.Select((file, i) => (file.Name, Number: numbers[i])).ToDictionary(file => file.Name, file => file.Number));
            return DetachedProcess.Start(Wrap(inner, _path, _user, group, opensTap), handles, errors.ProgramsEnd);
        }
        finally
        {
            errors.CloseProgramsEnd();
        }
    }

    public void Dispose()
    {
        foreach (var (_, handle) in _files)
            handle.Dispose();
    }

    internal static Command Wrap(Command command, string folder, uint user, uint? group, bool opensTap)
    {
        var confined = Unprivileged.Wrap(command, user, group: group);
        return confined with
        {
            Program = "unshare",
            Arguments =
            [
                .. opensTap ? (IEnumerable<string>)[] : ["--net"], "--ipc", "--uts", $"--wd={folder}",
                "--", ProgramLocator.Require(confined.Program), .. confined.Arguments,
            ],
        };
    }
}

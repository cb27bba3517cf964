using NanoVms.Agent.Interop;

namespace NanoVms.Agent.Guest;

/// <summary>Makes writable disks consistent and holds every write back, by the ioctls FIFREEZE and FITHAW.</summary>
internal sealed unsafe class DiskFreezer
{
    private const nuint FreezeRequest = 0xC0045877;
    private const nuint ThawRequest = 0xC0045878;

    private readonly List<int> _frozen = [];

    /// <param name="disk">A descriptor on the writable layer, whose mount no program sees; -1 without one.</param>
    public void Freeze(int disk)
    {
        Libc.Sync();
        var seen = new HashSet<string>();
        foreach (var line in Files.TryReadText("/proc/mounts").Split('\n'))
        {
            // "device folder type options …": what programs mounted themselves, such as volumes.
            var fields = line.Split(' ');
            if (fields.Length < 4 || !fields[0].StartsWith("/dev/", StringComparison.Ordinal) || !fields[3].StartsWith("rw", StringComparison.Ordinal))
                continue;
            if (seen.Add(fields[0]))
                FreezeOne(Files.TryOpen(fields[1], Libc.O_RDONLY | Libc.O_DIRECTORY), closes: true);
        }

        FreezeOne(disk, closes: false);
    }

    public void Thaw(int disk)
    {
        foreach (var fd in _frozen)
        {
            var level = 0;
            // SAFETY: the request takes no notice of its argument.
            _ = Libc.IoControl(fd, ThawRequest, &level);
            if (fd != disk)
                _ = Libc.Close(fd);
        }

        _frozen.Clear();
    }

    /// <summary>One that cannot be frozen, or that a program froze itself, is written out and no more.</summary>
    private void FreezeOne(int fd, bool closes)
    {
        if (fd < 0)
            return;
        var level = 0;
        // SAFETY: as in Thaw.
        if (Libc.IoControl(fd, FreezeRequest, &level) == 0)
            _frozen.Add(fd);
        else if (closes)
            _ = Libc.Close(fd);
    }
}

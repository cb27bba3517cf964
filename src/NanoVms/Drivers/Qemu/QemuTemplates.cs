using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace NanoVms.Drivers.Qemu;

/// <summary>
/// Memories of snapshots, each read and checked once for all machines that start from it soon after each other, and sealed, so that no
/// machine can change what others have. Machines keep what they have when it is forgotten here. Thread safe.
/// </summary>
internal sealed class QemuTemplates(TimeProvider time)
{
    private const int Most = 4;

    /// <summary>For how long one is kept that nobody asks for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly List<Template> _templates = [];

    /// <summary>
    /// A file of its own for one machine, and when its content is there: a hypervisor can be started meanwhile, as long as it does not look into it.
    /// </summary>
    /// <exception cref="Snapshots.SnapshotException">There is no snapshot; of a damaged one the task fails.</exception>
    public (SafeFileHandle Memory, Task Ready) Open(string folder, long bytes)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{QemuSnapshot.VersionOf(folder)} {bytes}");
        lock (_gate)
        {
            var found = _templates.Find(template => template.Key == key && !template.Ready.IsFaulted);
            if (found is null)
            {
                while (_templates.Count >= Most)
                    Forget(_templates[0]);
                var memory = QemuMemory.Create(bytes);
                found = new Template(key, memory, FillAsync(folder, memory));
                found.Timer = time.CreateTimer(_ => Forget(found), null, Patience, Timeout.InfiniteTimeSpan);
                _templates.Add(found);
            }

            _ = found.Timer?.Change(Patience, Timeout.InfiniteTimeSpan);
            var path = string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{found.Memory.DangerousGetHandle()}");
            return (File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite), found.Ready);
        }
    }

    private static async Task FillAsync(string folder, SafeFileHandle memory)
    {
        // Not canceled with the machine that asked first: others wait for it too.
        await QemuSnapshot.ReadMemoryAsync(folder, memory, CancellationToken.None);
        QemuMemory.Seal(memory);
    }

    private void Forget(Template template)
    {
        lock (_gate)
        {
            if (!_templates.Remove(template))
                return;
            template.Timer?.Dispose();
            // Closed once nothing is written to it any more.
            _ = template.Ready.ContinueWith(
                task =>
                {
                    _ = task.Exception;
                    template.Memory.Dispose();
                },
                CancellationToken.None,
                TaskContinuationOptions.None,
                TaskScheduler.Default);
        }
    }

    private sealed class Template(string key, SafeFileHandle memory, Task ready)
    {
        public string Key => key;

        public SafeFileHandle Memory => memory;

        public Task Ready => ready;

        public ITimer? Timer { get; set; }
    }
}

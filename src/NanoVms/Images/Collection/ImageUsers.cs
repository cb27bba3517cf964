using System.Security.Cryptography;
using System.Text;
using NanoVms.Commands;
using NanoVms.Machines;
using NanoVms.Snapshots;

namespace NanoVms.Images.Collection;

/// <summary>Who uses a store, and what they need of it. A file for each user; machines and snapshots are read where they lie, so that
/// nothing has to be told in time.</summary>
internal sealed class ImageUsers(string store, StoreGate gate, TimeProvider time)
{
    private const int SnapshotDepth = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromDays(30);

    private readonly string _folder = Path.Combine(store, "users");

    /// <summary>The user that a folder of machines is by itself.</summary>
    public static ImageUser OfMachines(string folder, IReadOnlyList<string> bootFiles) => new()
    {
        Id = "machines-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..32],
        Folder = folder,
        MachineFolders = [folder],
        Needs = bootFiles.Count == 0 ? [] : [new ImageNeed($"the machines in {folder}", null, bootFiles)],
    };

    /// <summary>Says who uses the store and what they need, in place of what they said before.</summary>
    public async Task RegisterAsync(ImageUser user, CancellationToken cancellationToken)
    {
        var path = PathOf(user.Id);
        using var entered = await gate.EnterAsync(cancellationToken);
        _ = Directory.CreateDirectory(_folder);
        var known = SafeFile.ReadJson(path, CollectionJson.Default.ImageUserRecord);
        SafeFile.WriteJson(path, new ImageUserRecord { User = user, SeenAt = time.GetUtcNow(), Found = known?.Found ?? [] }, CollectionJson.Default.ImageUserRecord);
    }

    public void Forget(string id)
    {
        if (Directory.Exists(_folder))
            File.Delete(PathOf(id));
    }

    /// <summary>What all users need. Only for who holds the gate.</summary>
    /// <param name="keep">Keeps what was found for the time when it cannot be, and forgets users that are gone; only for who holds the gate alone.</param>
    /// <exception cref="ImageException">A user's needs cannot be read: nothing may be removed.</exception>
    public IReadOnlyList<ImageNeed> ReadNeeds(bool keep)
    {
        var needs = new List<ImageNeed>();
        foreach (var path in Directory.Exists(_folder) ? Directory.EnumerateFiles(_folder, "*.json").ToList() : [])
        {
            var record = SafeFile.ReadJson(path, CollectionJson.Default.ImageUserRecord)
                ?? throw new ImageException($"{path} cannot be read, so it is not known what its platform needs. Delete the file if that platform is gone.");
            var isThere = Directory.Exists(record.User.Folder);
            var needsNothing = record.User.Needs.Count + record.Found.Count == 0;
            if (!isThere && (needsNothing || time.GetUtcNow() - record.SeenAt > Patience))
            {
                if (keep)
                    File.Delete(path);
                continue;
            }

            if (isThere)
            {
                record = record with { SeenAt = time.GetUtcNow(), Found = [.. Find(record.User)] };
                if (keep)
                    SafeFile.WriteJson(path, record, CollectionJson.Default.ImageUserRecord);
            }

            needs.AddRange(record.User.Needs);
            needs.AddRange(record.Found);
        }

        return needs;
    }

    private static List<ImageNeed> Find(ImageUser user)
    {
        try
        {
            return [.. user.MachineFolders.SelectMany(FindMachines), .. user.SnapshotFolders.SelectMany(folder => FindSnapshots(folder, SnapshotDepth))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"It cannot be read what the platform in {user.Folder} needs: {e.Message}", e);
        }
    }

    private static IEnumerable<ImageNeed> FindMachines(string folder)
    {
        foreach (var path in Folders(Path.Combine(folder, "machines")))
        {
            // Without a state file it is an orphan; what has ended cannot be started again.
            if (SafeFile.ReadJson(Path.Combine(path, MachineRecord.FileName), MachineJson.Default.MachineRecord) is { Phase: MachinePhase.Starting or MachinePhase.Running or MachinePhase.Suspended } record)
                yield return new ImageNeed($"machine {record.Id} ({record.Spec.Name})", null, Files(record.Spec));
        }
    }

    private static IEnumerable<ImageNeed> FindSnapshots(string folder, int depth)
    {
        foreach (var path in Folders(folder))
        {
            if (SafeFile.ReadJson(Path.Combine(path, SnapshotManifest.FileName), SnapshotJson.Default.SnapshotManifest) is { } snapshot)
                yield return new ImageNeed($"snapshot {Path.GetFileName(path)} ({snapshot.Spec.Name})", null, Files(snapshot.Spec));
            else if (depth > 1)
            {
                foreach (var need in FindSnapshots(path, depth - 1))
                    yield return need;
            }
        }
    }

    private static List<string> Files(MachineSpec spec) => [.. spec.Layers, .. spec.Drives.Select(drive => drive.Path)];

    private static IEnumerable<string> Folders(string folder) => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder).ToList() : [];

    private string PathOf(string id) => id.Length is > 0 and <= 64 && id.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
        ? Path.Combine(_folder, id + ".json")
        : throw new ArgumentException($"'{id}' is not 1 to 64 of a-z, 0-9 and '-'.", nameof(id));
}

using System.Security.Cryptography;
using System.Text.Json;
using BytePort.Builds.Logs;
using BytePort.Builds.Sources;
using BytePort.Server.Database;
using BytePort.Server.Hosting;
using BytePort.Server.Uploads;
using Microsoft.EntityFrameworkCore;

namespace BytePort.Server.Machines.Templates;

/// <summary>
/// Machine templates of teams. A folder per template holds its record and a folder per version; a push makes a new version and then says so
/// in the record. What machines keep in <c>data/</c> lies apart from the versions, so that a push does not take it away.
/// </summary>
internal sealed class TemplateStore(IDbContextFactory<PlatformDb> databases, UploadStore uploads, ServerOptions options, TimeProvider time) : IDisposable
{
    /// <summary>The most that a team may keep.</summary>
    public const int MaxPerTeam = 50;

    private const string RecordName = "template.json";
    private const int IdLength = 12;
    private const string IdCharacters = "abcdefghijklmnopqrstuvwxyz0123456789";

    private static readonly SourceLimits Limits = new() { MaxBytes = 256L << 20, MaxFiles = 10_000, MaxTime = TimeSpan.FromMinutes(2) };
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    private readonly SemaphoreSlim _changing = new(1);
    private readonly Dictionary<string, int> _inUse = [];

    public async Task<IReadOnlyList<TemplateView>> ListAsync(Guid team, CancellationToken cancellationToken)
    {
        var views = new List<TemplateView>();
        if (!Directory.Exists(FolderOf(team)))
            return views;
        foreach (var name in Directory.EnumerateDirectories(FolderOf(team)).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal).ToList())
        {
            if (TryRead(team, name) is { } record)
                views.Add(await ViewAsync(team, record, cancellationToken));
        }

        return views;
    }

    /// <exception cref="MachineFaultException">The team has no such template.</exception>
    public Task<TemplateView> GetAsync(Guid team, string name, CancellationToken cancellationToken) => ViewAsync(team, Read(team, name), cancellationToken);

    /// <summary>Makes an upload a template, or its next version.</summary>
    /// <param name="replaceData">True puts the pushed <c>data/</c> in the place of what the template's machines keep.</param>
    /// <exception cref="MachineFaultException">There is no such upload, or it is no template.</exception>
    public async Task<TemplateView> PutAsync(Guid team, string name, Guid upload, bool replaceData, CancellationToken cancellationToken)
    {
        if (!MachineRequestRules.IsMachineName(name, 1))
            throw new MachineFaultException(MachineFault.Invalid, "A template's name is 1 to 60 of a-z, 0-9 and -.");
        await using (var db = await databases.CreateDbContextAsync(cancellationToken))
        {
            if (!await db.Uploads.AnyAsync(u => u.Id == upload && u.TeamId == team && u.ReceivedAt != null, cancellationToken))
                throw new MachineFaultException(MachineFault.Invalid, $"There is no complete upload '{upload}' in your team. Create one by POST /api/v1/uploads and PUT the archive to its address.");
        }

        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (TryRead(team, name) is null && Directory.Exists(FolderOf(team)) && Directory.EnumerateDirectories(FolderOf(team)).Count() >= MaxPerTeam)
                throw new MachineFaultException(MachineFault.Exhausted, $"Your team keeps {MaxPerTeam} templates, the most it may have. Remove one of them.");
            return await UnpackAsync(team, name, upload, replaceData, cancellationToken);
        }
        catch (SourceException e)
        {
            throw new MachineFaultException(e.IsTransient ? MachineFault.Unavailable : MachineFault.Invalid, e.Message, e);
        }
        finally
        {
            _ = _changing.Release();
            await uploads.RemoveAsync(upload, CancellationToken.None);
        }
    }

    /// <summary>Removes it with what its machines keep in their shared folder. Machines that run go on.</summary>
    /// <exception cref="MachineFaultException">The team has no such template.</exception>
    public async Task RemoveAsync(Guid team, string name, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            _ = Read(team, name);
            // Without its record it is gone, whatever is left of it.
            File.Delete(Path.Combine(FolderOf(team, name), RecordName));
            Sweep(team, name, null);
            if (Directory.Exists(DataOf(team, name)))
                Directory.Delete(DataOf(team, name), recursive: true);
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    /// <summary>Takes the current version for as long as the lease is not disposed.</summary>
    /// <exception cref="MachineFaultException">The team has no such template.</exception>
    public async Task<TemplateLease> TakeAsync(Guid team, string name, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var record = Read(team, name);
            var folder = Path.Combine(FolderOf(team, name), record.Version);
            var content = await TemplateContent.ReadAsync(folder, cancellationToken);
            lock (_inUse)
                _inUse[folder] = _inUse.GetValueOrDefault(folder) + 1;
            return new TemplateLease(content, Directory.Exists(DataOf(team, name)) ? DataOf(team, name) : null, () => Release(folder));
        }
        finally
        {
            _ = _changing.Release();
        }
    }

    /// <summary>Ends what a crash left in the middle: versions that no record names, data that a push was replacing. To be called before anything else.</summary>
    public void Repair()
    {
        var all = options.InData("machine-templates");
        if (!Directory.Exists(all))
            return;
        foreach (var folder in Directory.EnumerateDirectories(all).SelectMany(Directory.EnumerateDirectories).ToList())
        {
            if (!Guid.TryParseExact(Path.GetFileName(Path.GetDirectoryName(folder)), "N", out var team))
                continue;
            var current = TryRead(team, Path.GetFileName(folder))?.Version;
            SettleData(team, Path.GetFileName(folder), current);
            Sweep(team, Path.GetFileName(folder), current);
        }
    }

    public void Dispose() => _changing.Dispose();

    private async Task<TemplateView> UnpackAsync(Guid team, string name, Guid upload, bool replaceData, CancellationToken cancellationToken)
    {
        var version = RandomNumberGenerator.GetString(IdCharacters, IdLength);
        var folder = Path.Combine(FolderOf(team, name), version);
        try
        {
            _ = Directory.CreateDirectory(FolderOf(team, name), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var fetched = await new SourceFetcher(Limits).FetchAsync(new ArchiveSource(uploads.PathOf(upload)), folder, BuildLog.None, cancellationToken);
            var content = await TemplateContent.ReadAsync(folder, cancellationToken);
            TakeData(team, name, version, content, replaceData);
            var record = new TemplateRecord(name, version, fetched.Digest, fetched.Files, fetched.Size, time.GetUtcNow());
            await SafeFile.WriteAsync(Path.Combine(FolderOf(team, name), RecordName), JsonSerializer.SerializeToUtf8Bytes(record, Json), cancellationToken);
            return await ViewAsync(team, record, cancellationToken);
        }
        finally
        {
            var current = TryRead(team, name)?.Version;
            SettleData(team, name, current);
            Sweep(team, name, current);
        }
    }

    /// <summary>What a push replaced goes once its version is the current one, and comes back if it is not.</summary>
    private void SettleData(Guid team, string name, string? current)
    {
        var all = Path.GetDirectoryName(DataOf(team, name))!;
        foreach (var replaced in Directory.Exists(all) ? Directory.GetDirectories(all, $".{name}.*") : [])
        {
            var gone = replaced == ReplacedOf(team, name, current ?? "") ? replaced : DataOf(team, name);
            if (Directory.Exists(gone))
                Directory.Delete(gone, recursive: true);
            if (gone != replaced)
                Directory.Move(replaced, DataOf(team, name));
        }
    }

    /// <summary>The first push brings what the shared folder begins with; later ones leave it alone unless told otherwise.</summary>
    private void TakeData(Guid team, string name, string version, TemplateContent content, bool replace)
    {
        if (!content.HasData)
            return;
        var data = DataOf(team, name);
        if (!replace && Directory.Exists(data))
        {
            Directory.Delete(content.DataPath, recursive: true);
            return;
        }

        _ = Directory.CreateDirectory(Path.GetDirectoryName(data)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // Kept until the record names the version: until then a failure or a crash puts it back.
        if (Directory.Exists(data))
            Directory.Move(data, ReplacedOf(team, name, version));
        Directory.Move(content.DataPath, data);
    }

    private async Task<TemplateView> ViewAsync(Guid team, TemplateRecord record, CancellationToken cancellationToken) => TemplateView.Of(
        record, await TemplateContent.ReadAsync(Path.Combine(FolderOf(team, record.Name), record.Version), cancellationToken), Directory.Exists(DataOf(team, record.Name)));

    private void Release(string folder)
    {
        lock (_inUse)
        {
            if (--_inUse[folder] == 0)
                _ = _inUse.Remove(folder);
        }
    }

    /// <summary>Deletes all versions but one and those that a start still reads; the next sweep gets them.</summary>
    private void Sweep(Guid team, string name, string? version)
    {
        var folder = FolderOf(team, name);
        if (!Directory.Exists(folder))
            return;
        foreach (var path in Directory.EnumerateDirectories(folder).Where(path => Path.GetFileName(path) != version).ToList())
        {
            bool isUsed;
            lock (_inUse)
                isUsed = _inUse.ContainsKey(path);
            if (!isUsed)
                Directory.Delete(path, recursive: true);
        }

        if (version is null && !Directory.EnumerateFileSystemEntries(folder).Any())
            Directory.Delete(folder);
    }

    private TemplateRecord Read(Guid team, string name) => TryRead(team, name) ?? throw new MachineFaultException(
        MachineFault.NotFound, $"There is no template '{(name.Length <= 60 ? name : $"{name[..60]}…")}' in your team. 'byteport template ls' lists them.");

    private TemplateRecord? TryRead(Guid team, string name)
    {
        if (!MachineRequestRules.IsMachineName(name, 1))
            return null;
        try
        {
            return JsonSerializer.Deserialize<TemplateRecord>(File.ReadAllBytes(Path.Combine(FolderOf(team, name), RecordName)), Json) is { } record && record.Name == name ? record : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    private string FolderOf(Guid team) => options.InData("machine-templates", team.ToString("N"));

    private string FolderOf(Guid team, string name) => Path.Combine(FolderOf(team), name);

    /// <summary>Where a push puts the data that it replaces: no name of a template begins with a dot.</summary>
    private string ReplacedOf(Guid team, string name, string version) => options.InData("machine-data", team.ToString("N"), $".{name}.{version}");

    private string DataOf(Guid team, string name) => options.InData("machine-data", team.ToString("N"), name);
}

/// <summary>A version of a template that stays while it is used.</summary>
/// <param name="Data">What its machines share; null for nothing.</param>
internal sealed record TemplateLease(TemplateContent Content, string? Data, Action Release) : IDisposable
{
    public void Dispose() => Release();
}

using NanoVms.Agent.Protocol;
using NanoVms.Machines;

namespace NanoVms.Agent.Copies;

/// <summary>Copies files between the host and one guest.</summary>
/// <param name="explain">Turns a failure of the agent into the caller's kind.</param>
internal sealed class GuestFiles(FrameLink link, Func<AgentException, Exception> explain)
{
    private const long MaxHead = 4096;
    private const int Window = 256 * 1024;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(60);

    /// <summary>An archive of one file or folder of the guest.</summary>
    public async Task<Stream> OpenAsync(string guestPath, CancellationToken cancellationToken)
    {
        RequestRules.CheckGuestPath(guestPath);
        var request = new StreamRequest(link, FrameType.End, mayLose: false, answersCancel: false, Window);
        await GuardAsync(() => request.OpenAsync(FrameType.CopyOut, w => w.Text(guestPath).UInt32(Window), cancellationToken));
        return new ArchiveStream(request, explain, link.Time, Idle);
    }

    /// <summary>A file or folder of the guest becomes a file or folder of the host.</summary>
    public async Task<CopyResult> CopyOutAsync(string guestPath, string hostPath, CopyLimits limits, CancellationToken cancellationToken)
    {
        await using var archive = await OpenAsync(guestPath, cancellationToken);
        using var writer = new FolderWriter(Path.GetFullPath(hostPath).TrimEnd('/'), NameOf(guestPath), limits);
        var buffer = new byte[Wire.MaxOutput];
        var left = limits.MaxBytes + (limits.MaxEntries * MaxHead) + MaxHead;
        try
        {
            int count;
            while ((count = await archive.ReadAsync(buffer, cancellationToken)) > 0)
            {
                // Heads without entries, and what follows the end, are nothing that the other limits count.
                if ((left -= count) < 0)
                    throw new InvalidDataException("The archive goes on beyond what its limits make possible.");
                writer.Feed(buffer.AsSpan(0, count));
            }

            return writer.Finish();
        }
        catch (InvalidDataException failure)
        {
            throw explain(new AgentException($"The guest's files at {guestPath} cannot be copied to {hostPath}: {failure.Message}", failure));
        }
    }

    /// <summary>Lays an archive into a folder of the guest.</summary>
    public async Task CopyInAsync(Stream archive, string guestFolder, CancellationToken cancellationToken)
    {
        await using var request = await OpenInAsync(guestFolder, cancellationToken);
        var buffer = new byte[Wire.MaxInput];
        int count;
        while ((count = await archive.ReadAsync(buffer, cancellationToken)) > 0)
            await WriteAsync(request, buffer.AsMemory(0, count), cancellationToken);
        await FinishAsync(request, cancellationToken);
    }

    /// <summary>A file or folder of the host becomes a file or folder of the guest.</summary>
    public async Task CopyInAsync(string hostPath, string guestPath, uint user, uint group, CancellationToken cancellationToken)
    {
        RequestRules.CheckGuestPath(guestPath);
        var reader = new FolderReader(hostPath, NameOf(guestPath), user, group).Read();
        var above = Path.GetDirectoryName(guestPath.TrimEnd('/'));
        await using var request = await OpenInAsync(string.IsNullOrEmpty(above) ? "/" : above, cancellationToken);
        foreach (var piece in reader)
            await WriteAsync(request, piece, cancellationToken);
        await FinishAsync(request, cancellationToken);
    }

    /// <summary>Lays a folder of the host over one of the guest.</summary>
    public async Task OverlayAsync(SetupFolder folder, CancellationToken cancellationToken)
    {
        await using var request = await OpenInAsync(folder.GuestPath, cancellationToken);
        foreach (var piece in new OverlayReader(folder).Read())
            await WriteAsync(request, piece, cancellationToken);
        await FinishAsync(request, cancellationToken);
    }

    /// <summary>As the guest names the top of its archive.</summary>
    private static string NameOf(string guestPath) => Path.GetFileName(guestPath.TrimEnd('/')) is { Length: > 0 } name ? name : ".";

    private async Task<StreamRequest> OpenInAsync(string guestFolder, CancellationToken cancellationToken)
    {
        RequestRules.CheckGuestPath(guestFolder);
        // Without a window: nothing but the end is answered.
        var request = new StreamRequest(link, FrameType.Done, mayLose: false, answersCancel: false, window: 0);
        await GuardAsync(() => request.OpenAsync(FrameType.CopyIn, w => w.Text(guestFolder), cancellationToken));
        return request;
    }

    private Task WriteAsync(StreamRequest request, ReadOnlyMemory<byte> piece, CancellationToken cancellationToken) =>
        LimitAsync(token => request.WriteAsync(piece, token), cancellationToken);

    private Task FinishAsync(StreamRequest request, CancellationToken cancellationToken) => LimitAsync(
        async token =>
        {
            await request.EndInputAsync(token);
            _ = await request.Last.WaitAsync(token);
        },
        cancellationToken);

    private async Task LimitAsync(Func<CancellationToken, Task> action, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Idle, link.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            await GuardAsync(() => action(either.Token));
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw explain(new AgentException($"The guest took nothing of the files for {Idle.TotalSeconds:0} s.") { IsTransient = true });
        }
    }

    private async Task GuardAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (AgentException failure)
        {
            throw explain(failure);
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using NanoVms.Commands;

namespace NanoVms.Drivers.Container;

/// <summary>
/// A user namespace and a network namespace of its, held by a process that does nothing and ends with this one: containers' files and
/// cables are made ready in them before the container starts.
/// </summary>
internal sealed class Namespaces : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private readonly Process _holder;

    private Namespaces(Process holder) => _holder = holder;

    public int ProcessId => _holder.Id;

    public string UserPath => PathOf("user");

    public string NetworkPath => PathOf("net");

    public static async Task<Namespaces> CreateAsync(ContainerUsers users, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(ProgramLocator.Require("unshare"), ["--user", "--net", "--", ProgramLocator.Require("cat")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment.Clear();
        var namespaces = new Namespaces(Process.Start(start)!);
        try
        {
            await namespaces.AwaitAsync(cancellationToken);
            var folder = string.Create(CultureInfo.InvariantCulture, $"/proc/{namespaces.ProcessId}");
            await File.WriteAllTextAsync(folder + "/uid_map", users.Map, cancellationToken);
            await File.WriteAllTextAsync(folder + "/gid_map", users.Map, cancellationToken);
            return namespaces;
        }
        catch
        {
            await namespaces.DisposeAsync();
            throw;
        }
    }

    public SafeFileHandle OpenUser() => File.OpenHandle(UserPath);

    public async ValueTask DisposeAsync()
    {
        _holder.Kill();
        await _holder.WaitForExitAsync();
        // Once used, its streams are not the process's to close.
        await _holder.StandardInput.DisposeAsync();
        _holder.StandardOutput.Dispose();
        _holder.StandardError.Dispose();
        _holder.Dispose();
    }

    private string PathOf(string kind) => string.Create(CultureInfo.InvariantCulture, $"/proc/{ProcessId}/ns/{kind}");

    /// <summary>What comes back was written after the namespaces were made: before, there is no program that reads.</summary>
    private async Task AwaitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            await _holder.StandardInput.BaseStream.WriteAsync(new byte[1], limit.Token);
            await _holder.StandardInput.BaseStream.FlushAsync(limit.Token);
            if (await _holder.StandardOutput.BaseStream.ReadAsync(new byte[1], limit.Token) == 1)
                return;
        }
        catch (IOException)
        {
            // It ended, and says why.
        }

        var message = await _holder.StandardError.ReadToEndAsync(limit.Token);
        throw new CommandException($"Cannot make a user namespace: {message.Trim()}", "unshare", CommandFailure.NotStarted);
    }
}

namespace BytePort.Server.Hosting;

/// <summary>This server on this data folder. The identity outlives restarts, so a new process knows its predecessor's leases as its
/// own; the lock on the folder makes sure that there is one process at a time.</summary>
internal sealed class Node : IDisposable
{
    private readonly FileStream _lock;

    private Node(string id, FileStream held) => (Id, _lock) = (id, held);

    public string Id { get; }

    /// <summary>Takes the data folder.</summary>
    /// <exception cref="StartException">Another server has it.</exception>
    public static async Task<Node> OpenAsync(ServerOptions options, CancellationToken cancellationToken)
    {
        FileStream held;
        try
        {
            held = new FileStream(options.InData("server.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            throw new StartException($"Another BytePort server uses {options.DataFolder}. Stop it by 'byteport down --data {options.DataFolder}', or choose another folder by --data.");
        }

        var path = options.InData("node-id");
        if (!File.Exists(path))
        {
            await SafeFile.WriteAsync(path, System.Text.Encoding.ASCII.GetBytes(Guid.CreateVersion7().ToString("N")), cancellationToken);
        }

        return new Node((await File.ReadAllTextAsync(path, cancellationToken)).Trim(), held);
    }

    public void Dispose() => _lock.Dispose();
}

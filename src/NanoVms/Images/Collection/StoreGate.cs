namespace NanoVms.Images.Collection;

/// <summary>
/// Between those who use images and those who remove them, in all processes: many may hold it shared, to say what they use, and one
/// alone while it decides what nobody uses. Held for moments only. The kernel frees it when its holder dies.
/// </summary>
internal sealed class StoreGate(string folder)
{
    /// <summary>Short, because nobody queues: who asks seldom would not get in between others that come again and again.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(1);

    private readonly string _path = Path.Combine(folder, "store.lock");

    /// <summary>While it is held nothing is removed.</summary>
    public Task<IDisposable> EnterAsync(CancellationToken cancellationToken) => TakeAsync(FileAccess.Read, FileShare.Read, cancellationToken);

    /// <summary>While it is held nobody begins to use anything.</summary>
    public Task<IDisposable> EnterAloneAsync(CancellationToken cancellationToken) => TakeAsync(FileAccess.ReadWrite, FileShare.None, cancellationToken);

    private async Task<IDisposable> TakeAsync(FileAccess access, FileShare share, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                // Sharing becomes flock(2): shared for Read, exclusive for None.
                return new FileStream(_path, FileMode.Open, access, share, 0);
            }
            catch (FileNotFoundException)
            {
                _ = Directory.CreateDirectory(folder);
                new FileStream(_path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, 0).Dispose();
            }
            catch (DirectoryNotFoundException)
            {
                _ = Directory.CreateDirectory(folder);
            }
            catch (IOException) when (File.Exists(_path))
            {
                await Task.Delay(Retry, cancellationToken);
            }
        }
    }
}

namespace NanoVms.Images;

/// <summary>A lock between processes: flock(2) on a file, which the kernel drops when the holder dies.</summary>
internal sealed class FileLock : IDisposable
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(10);

    private readonly FileStream _file;

    private FileLock(FileStream file) => _file = file;

    /// <param name="onWait">Called once when somebody else holds the lock.</param>
    public static async Task<FileLock> AcquireAsync(string path, Action? onWait, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                return new FileLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 0));
            }
            catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException or PathTooLongException))
            {
                onWait?.Invoke();
                onWait = null;
            }

            await Task.Delay(Retry, cancellationToken);
        }
    }

    public void Dispose() => _file.Dispose();
}

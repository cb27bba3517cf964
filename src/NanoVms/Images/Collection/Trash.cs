namespace NanoVms.Images.Collection;

/// <summary>
/// Takes things away in two steps: a rename, after which nobody finds them, and the deleting, which takes its time. What a process that
/// dies in between leaves is deleted by the next.
/// </summary>
internal sealed class Trash(string store)
{
    private readonly string _folder = Path.Combine(store, "trash");

    /// <summary>False when it is not there any more.</summary>
    public bool Take(string path)
    {
        _ = Directory.CreateDirectory(_folder);
        var aside = Path.Combine(_folder, $"{Guid.NewGuid():N}-{Path.GetFileName(path)}");
        try
        {
            if (Directory.Exists(path))
                Directory.Move(path, aside);
            else
                File.Move(path, aside);
            return true;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
    }

    public void Empty()
    {
        if (!Directory.Exists(_folder))
            return;
        foreach (var path in Directory.EnumerateFileSystemEntries(_folder).ToList())
        {
            try
            {
                if (Directory.Exists(path))
                    Directory.Delete(path, recursive: true);
                else
                    File.Delete(path);
            }
            catch (IOException)
            {
                // Another process empties it too, or a program still writes: the next time takes what is left.
            }
        }
    }
}

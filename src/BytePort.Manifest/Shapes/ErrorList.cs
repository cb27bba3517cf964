namespace BytePort.Manifest.Shapes;

/// <summary>Collects what is wrong, up to a limit that keeps a hostile file from filling memory with messages.</summary>
internal sealed class ErrorList(string file)
{
    private const int MaxErrors = 100;

    private readonly List<ManifestError> _errors = [];

    public int Count => _errors.Count;

    public void Add(Location location, string message, string? suggestion = null)
    {
        if (_errors.Count < MaxErrors)
            _errors.Add(new(file, location.Line, location.Column, message, suggestion));
    }

    public IReadOnlyList<ManifestError> ToSortedList() => [.. _errors.OrderBy(error => error.Line).ThenBy(error => error.Column)];
}

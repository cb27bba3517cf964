namespace BytePort.Server.Api;

/// <summary>A part of a list; <paramref name="Next"/> is the cursor of the following part, null at the end.</summary>
internal sealed record Page<T>(IReadOnlyList<T> Items, string? Next)
{
    public const int DefaultLimit = 50;

    public const int MaxLimit = 200;

    public static int Limit(int? asked) => Math.Clamp(asked ?? DefaultLimit, 1, MaxLimit);
}

namespace BytePort.Manifest.Shapes;

/// <summary>Typed looks into a mapping that was read.</summary>
internal static class PairsAccess
{
    public static T? Find<T>(this Pairs pairs, string key)
        where T : Value => pairs.All.FirstOrDefault(pair => pair.Key == key)?.Value as T;

    public static T? Get<T>(this Pairs pairs, string key)
        where T : class => (T?)pairs.Find<Leaf>(key)?.Content;

    public static T? GetValue<T>(this Pairs pairs, string key)
        where T : struct => (T?)pairs.Find<Leaf>(key)?.Content;

    public static IReadOnlyList<T> GetList<T>(this Pairs pairs, string key) =>
        [.. (pairs.Find<Items>(key)?.All ?? []).OfType<Leaf>().Select(leaf => (T)leaf.Content)];
}

using System.Globalization;
using System.Text.Json.Serialization.Metadata;

namespace BytePort.Cli.Api;

/// <summary>Reads lists that come in pages.</summary>
internal static class Pages
{
    private const int PageSize = 100;
    private const int MaxPages = 1000;

    /// <summary>The first <paramref name="count"/> items.</summary>
    public static async Task<IReadOnlyList<T>> ReadAsync<T>(
        ApiClient client, string path, JsonTypeInfo<Page<T>> type, int count, CancellationToken cancellationToken)
    {
        var all = new List<T>();
        string? next = null;
        for (var page = 0; page < MaxPages && all.Count < count; page++)
        {
            var limit = Math.Min(PageSize, count - all.Count).ToString(CultureInfo.InvariantCulture);
            var cursor = next is null ? "" : $"&cursor={Uri.EscapeDataString(next)}";
            var answer = await client.GetAsync($"{path}?limit={limit}{cursor}", type, cancellationToken);
            all.AddRange(answer.Items);
            next = answer.Next;
            if (next is null)
                break;
        }

        return all.Count <= count ? all : all[..count];
    }
}

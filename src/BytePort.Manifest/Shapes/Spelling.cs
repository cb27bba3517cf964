namespace BytePort.Manifest.Shapes;

/// <summary>Finds the word that somebody meant.</summary>
internal static class Spelling
{
    private const int LongestWord = 40;

    /// <returns>"Did you mean …?" for the nearest known word within a third of its length, else null.</returns>
    public static string? Suggest(string word, IReadOnlyList<string> known)
    {
        if (word.Length > LongestWord)
            return null;
        var (best, distance) = known
            .Select(candidate => (candidate, distance: Distance(word.ToLowerInvariant(), candidate)))
            .MinBy(pair => pair.distance);
        return best is not null && distance <= Math.Max(1, best.Length / 3) ? $"Did you mean \"{best}\"?" : null;
    }

    public static string Shorten(string word) => word.Length <= LongestWord ? word : $"{word[..LongestWord]}…";

    /// <summary>Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).</summary>
    internal static int Distance(string first, string second)
    {
        var cost = new int[first.Length + 1, second.Length + 1];
        for (var i = 0; i <= first.Length; i++)
        {
            for (var j = 0; j <= second.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                var replaced = cost[i - 1, j - 1] + (first[i - 1] == second[j - 1] ? 0 : 1);
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1, replaced);
                if (i > 1 && j > 1 && first[i - 1] == second[j - 2] && first[i - 2] == second[j - 1])
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
            }
        }

        return cost[first.Length, second.Length];
    }
}

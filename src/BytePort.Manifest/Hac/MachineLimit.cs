using System.Globalization;

namespace BytePort.Manifest.Hac;

/// <summary>One of <see cref="MachineLimits"/>: what it is called, what it may be, and how people write it.</summary>
/// <param name="Key">As <c>hac.toml</c> and the command line have it; the HTTP API has it in camel case.</param>
/// <param name="Unit">Of the number.</param>
/// <param name="Get">Reads it; null when it is not set.</param>
/// <param name="Set">The limits with another value of it.</param>
public sealed record MachineLimit(
    string Key, MachineLimitUnit Unit, long Least, long Most, Func<MachineLimits, long?> Get, Func<MachineLimits, long?, MachineLimits> Set)
{
    /// <summary>All there are, in the order in which they are written.</summary>
    public static IReadOnlyList<MachineLimit> All { get; } =
    [
        new("receive_bits", MachineLimitUnit.Bits, LeastBits, MostBits, limits => limits.ReceiveBits, (limits, value) => limits with { ReceiveBits = value }),
        new("send_bits", MachineLimitUnit.Bits, LeastBits, MostBits, limits => limits.SendBits, (limits, value) => limits with { SendBits = value }),
        new("read_bytes", MachineLimitUnit.Bytes, LeastBytes, MostBytes, limits => limits.ReadBytes, (limits, value) => limits with { ReadBytes = value }),
        new("write_bytes", MachineLimitUnit.Bytes, LeastBytes, MostBytes, limits => limits.WriteBytes, (limits, value) => limits with { WriteBytes = value }),
        new("read_operations", MachineLimitUnit.Operations, LeastOperations, MostOperations, limits => limits.ReadOperations, (limits, value) => limits with { ReadOperations = value }),
        new("write_operations", MachineLimitUnit.Operations, LeastOperations, MostOperations, limits => limits.WriteOperations, (limits, value) => limits with { WriteOperations = value }),
    ];

    /// <summary>As the HTTP API has it.</summary>
    public string Member => string.Concat(Key.Split('_').Select((word, i) => i == 0 ? word : $"{char.ToUpperInvariant(word[0])}{word[1..]}"));

    /// <summary>What it must be, to stand behind "must be".</summary>
    public string Expected => Unit switch
    {
        MachineLimitUnit.Bits => "bits a second from 64000 to 100G, such as \"100M\" for 100,000,000",
        MachineLimitUnit.Bytes => "bytes a second from 64K to 1T, such as \"50M\" for 50 MiB",
        _ => "a whole number from 10 to 10000000",
    };

    /// <summary>True for a value that it may have.</summary>
    public bool Allows(long value) => value >= Least && value <= Most;

    /// <summary>Reads what a person wrote: a whole number, and for bits and bytes also one with a unit.</summary>
    /// <returns>Null for everything else and for what it may not be.</returns>
    public long? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var value = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : Unit switch
            {
                MachineLimitUnit.Bits => ParseBits(text),
                MachineLimitUnit.Bytes => HacSize.Parse(text),
                _ => null,
            };
        return value is { } parsed && Allows(parsed) ? parsed : null;
    }

    /// <summary>As <see cref="Parse"/> reads it, with a unit where the number is a whole one of it.</summary>
    public string Show(long value)
    {
        long thousand = Unit switch { MachineLimitUnit.Bits => 1000, MachineLimitUnit.Bytes => 1024, _ => long.MaxValue };
        var unit = 0;
        for (; value >= thousand && value % thousand == 0 && unit < (Unit == MachineLimitUnit.Bits ? 3 : 4); unit++)
            value /= thousand;
        return string.Create(CultureInfo.InvariantCulture, $"{value}{"KMGT".AsSpan(Math.Max(0, unit - 1), Math.Min(1, unit))}");
    }

    /// <summary>Reads limits as the command line and the environment have them, <c>NAME=VALUE</c> each.</summary>
    /// <param name="error">What is wrong with the first that cannot be used; else null.</param>
    public static MachineLimits ReadAll(IEnumerable<string> texts, out string? error)
    {
        ArgumentNullException.ThrowIfNull(texts);
        var limits = new MachineLimits();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? text : text[..equals];
            var limit = All.FirstOrDefault(candidate => candidate.Key == name);
            error = limit switch
            {
                _ when equals < 0 => $"'{text}' is not NAME=VALUE, such as send_bits=100M.",
                null => $"'{name}' is no limit; choose one of {string.Join(", ", All.Select(candidate => candidate.Key))}.",
                _ when limit.Get(limits) is not null => $"{name} is there twice.",
                _ when limit.Parse(text[(equals + 1)..]) is null => $"{name} must be {limit.Expected}, not '{text[(equals + 1)..]}'.",
                _ => null,
            };
            if (error is not null)
                return new();
            limits = limit!.Set(limits, limit.Parse(text[(equals + 1)..]));
        }

        error = null;
        return limits;
    }

    private const long LeastBits = 64_000;
    private const long MostBits = 100_000_000_000;
    private const long LeastBytes = 64 << 10;
    private const long MostBytes = 1L << 40;
    private const long LeastOperations = 10;
    private const long MostOperations = 10_000_000;

    /// <summary>Networks count in powers of 1000.</summary>
    private static long? ParseBits(string text)
    {
        var digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits is <= 0 or > 12)
            return null;
        long factor = text[digits..].ToUpperInvariant() switch
        {
            "K" or "KBIT" => 1000,
            "M" or "MBIT" => 1_000_000,
            "G" or "GBIT" => 1_000_000_000,
            _ => 0,
        };
        var count = long.Parse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture);
        return factor == 0 || count > MostBits / factor ? null : count * factor;
    }
}

/// <summary>What a <see cref="MachineLimit"/> counts.</summary>
public enum MachineLimitUnit
{
    /// <summary>K, M and G are powers of 1000.</summary>
    Bits,

    /// <summary>K, M, G and T are powers of 1024.</summary>
    Bytes,

    /// <summary>Without units.</summary>
    Operations,
}

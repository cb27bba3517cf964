using System.Text;
using Microsoft.Extensions.Primitives;

namespace BytePort.Server.Grpc;

/// <summary>What a caller or a method says beside the messages: names in lower case; a name that ends in <c>-bin</c> holds bytes.</summary>
internal static class GrpcMetadata
{
    private const string BinarySuffix = "-bin";

    public static bool IsBinary(string name) => name.EndsWith(BinarySuffix, StringComparison.Ordinal);

    /// <summary>Values of a name that holds text.</summary>
    public static IReadOnlyList<string> Text(IHeaderDictionary headers, string name) => [.. headers[name].Where(value => value is not null).Select(value => value!)];

    /// <summary>Values of a name that holds bytes; several may be joined by commas, with or without base64's padding.</summary>
    /// <exception cref="GrpcException">A value is not base64.</exception>
    public static IReadOnlyList<byte[]> Bytes(IHeaderDictionary headers, string name)
    {
        try
        {
            return [.. headers[name].SelectMany(value => (value ?? "").Split(',')).Select(Decode)];
        }
        catch (FormatException e)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, $"The metadata '{name}' is not base64.", e);
        }
    }

    /// <exception cref="ArgumentException">The name or the value cannot be sent.</exception>
    public static void Add(IHeaderDictionary headers, string name, string value)
    {
        Check(name);
        if (IsBinary(name) || value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ArgumentException($"The metadata '{name}' holds bytes; give them as bytes.", nameof(value));
        headers.Append(name, value);
    }

    /// <exception cref="ArgumentException">The name does not end in <c>-bin</c>.</exception>
    public static void Add(IHeaderDictionary headers, string name, ReadOnlySpan<byte> value)
    {
        Check(name);
        if (!IsBinary(name))
            throw new ArgumentException($"The metadata '{name}' cannot hold bytes, because its name does not end in {BinarySuffix}.", nameof(name));
        headers.Append(name, new StringValues(Convert.ToBase64String(value).TrimEnd('=')));
    }

    /// <summary>Percent-encodes a status message: UTF-8, everything but printable ASCII, and the percent sign.</summary>
    public static string EncodeMessage(string message)
    {
        var text = new StringBuilder(message.Length);
        foreach (var unit in Encoding.UTF8.GetBytes(message))
        {
            if (unit is >= 0x20 and <= 0x7e and not (byte)'%')
                text.Append((char)unit);
            else
                text.Append('%').Append(Convert.ToHexString([unit]));
        }

        return text.ToString();
    }

    private static byte[] Decode(string value)
    {
        var trimmed = value.Trim().TrimEnd('=');
        return Convert.FromBase64String(trimmed.PadRight((trimmed.Length + 3) / 4 * 4, '='));
    }

    private static void Check(string name)
    {
        if (name.Length == 0 || name.StartsWith("grpc-", StringComparison.Ordinal)
            || !name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character is '-' or '_' or '.'))
            throw new ArgumentException($"'{name}' is no name of metadata.", nameof(name));
    }
}

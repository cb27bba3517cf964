using System.Buffers;
using System.Security.Cryptography;

namespace BytePort.Builds.Blobs;

/// <summary>SHA-256 as 64 lower-case hexadecimal digits.</summary>
internal static class Digests
{
    private static readonly SearchValues<char> Hexadecimal = SearchValues.Create("0123456789abcdef");

    public static string Of(ReadOnlySpan<byte> content) => Convert.ToHexStringLower(SHA256.HashData(content));

    public static bool IsValid(string? digest) =>
        digest is { Length: 64 } && !digest.AsSpan().ContainsAnyExcept(Hexadecimal);
}

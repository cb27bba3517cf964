using BytePort.Manifest.Hac;

namespace BytePort.Manifest.Tests.Hac;

public sealed class ImageReferenceTests
{
    [Theory]
    [InlineData("node@22")]
    [InlineData("node@22.11.0")]
    [InlineData("base")]
    public void Parse_Word_IsAStack(string text) => Assert.True(ImageReference.Parse(text)!.IsStack);

    [Theory]
    [InlineData("alpine:3.20")]
    [InlineData("aws-ubuntu:minimal")]
    [InlineData("library/alpine")]
    [InlineData("docker.io/library/alpine:3.20")]
    [InlineData("localhost:5000/a")]
    [InlineData("registry.example.com:5000/team/app_x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("ghcr.io/o/r:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    public void Parse_TagDigestOrSlash_IsAnImage(string text) => Assert.False(ImageReference.Parse(text)!.IsStack);

    [Theory]
    [InlineData("")]
    [InlineData("-alpine")]
    [InlineData("Alpine:3")]
    [InlineData("alpine:")]
    [InlineData("alpine@latest")]
    [InlineData("alpine@sha256:123")]
    [InlineData("../alpine")]
    [InlineData("a//b")]
    [InlineData("https://registry.example.com/a")]
    [InlineData("alpine:3 --help")]
    [InlineData("alpine:3\n")]
    public void Parse_AnythingElse_IsNull(string text) => Assert.Null(ImageReference.Parse(text));
}

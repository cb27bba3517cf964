using FsCheck;
using FsCheck.Fluent;
using NanoVms.Images;
using NanoVms.Images.Oci;

namespace NanoVms.Tests.Images.Oci;

public sealed class OciReferenceTests
{
    [Theory]
    [InlineData("alpine", "docker.io/library/alpine:latest")]
    [InlineData("alpine:3.20", "docker.io/library/alpine:3.20")]
    [InlineData("owner/app", "docker.io/owner/app:latest")]
    [InlineData("docker.io/library/alpine", "docker.io/library/alpine:latest")]
    [InlineData("ghcr.io/owner/app_x/y:v1.2-rc", "ghcr.io/owner/app_x/y:v1.2-rc")]
    [InlineData("localhost:5000/app", "localhost:5000/app:latest")]
    [InlineData("localhost/app", "localhost/app:latest")]
    [InlineData("a.example/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "a.example/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    [InlineData("a.example/b:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "a.example/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    public void Parse_Reference_IsCompleted(string text, string expected) => Assert.Equal(expected, OciReference.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("UPPER/case")]
    [InlineData("-option")]
    [InlineData("--tls-verify=false")]
    [InlineData("oci:/etc")]
    [InlineData("/etc/passwd")]
    [InlineData("a//b")]
    [InlineData("a/../b")]
    [InlineData("a b")]
    [InlineData("a:b:c")]
    [InlineData("a@sha256:12")]
    [InlineData("a@md5:0123456789abcdef0123456789abcdef")]
    [InlineData("a\n")]
    public void Parse_SomethingElse_SaysHowToWriteOne(string text) =>
        Assert.Contains("Write one as", Assert.Throws<ImageException>(() => OciReference.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_AnyText_IsRefusedOrGivesItselfAgain() => Prop.ForAll<NonNull<string>>(text =>
    {
        try
        {
            var once = OciReference.Parse(text.Get).ToString();
            return OciReference.Parse(once).ToString() == once;
        }
        catch (ImageException)
        {
            return true;
        }
    }).QuickCheckThrowOnFailure();
}

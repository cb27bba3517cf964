using System.IO.Compression;
using System.Net;
using System.Text;
using BytePort.Edge.Routing;
using BytePort.Edge.StaticFiles;

namespace BytePort.Edge.Tests.StaticFiles;

public class StaticHandlerTests
{
    private const string Host = "site.example";
    private static readonly string Text = string.Concat(Enumerable.Range(0, 400).Select(i => $"line {i}\n"));

    [Fact]
    public async Task Get_Page_HasContentAndHeaders()
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, "/");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("home", await TextAsync(response));
        Assert.Equal("text/html; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(4, response.Content.Headers.ContentLength);
        Assert.Equal("public, max-age=0, must-revalidate", Header(response, "Cache-Control"));
        Assert.Equal("nosniff", Header(response, "X-Content-Type-Options"));
        Assert.Equal("bytes", Header(response, "Accept-Ranges"));
        Assert.Matches("^\"[0-9a-f]{64}\"$", Header(response, "ETag"));
        Assert.Equal("Wed, 01 Jan 2025 12:00:00 GMT", Header(response, "Last-Modified"));
        Assert.NotNull(response.Headers.Date);
        Assert.Null(Header(response, "Server"));
        Assert.Null(Header(response, "Vary"));
    }

    [Fact]
    public async Task Get_HashedAsset_IsImmutable()
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, "/assets/app.3f2a9c1d.js");
        Assert.Equal("public, max-age=31536000, immutable", Header(response, "Cache-Control"));
    }

    [Theory]
    [InlineData("br, gzip", "br")]
    [InlineData("gzip;q=1, br;q=0.1", "gzip")]
    [InlineData("identity", null)]
    public async Task Get_AcceptEncoding_SendsThatVariant(string accept, string? expected)
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, "/text.txt", ("Accept-Encoding", accept));
        using var plain = await edge.GetAsync(Host, "/text.txt");
        Assert.Equal(expected, Header(response, "Content-Encoding"));
        Assert.Equal("Accept-Encoding", Header(response, "Vary"));
        Assert.Equal("Accept-Encoding", Header(plain, "Vary"));
        Assert.Equal(expected is null, Header(response, "ETag") == Header(plain, "ETag"));
        var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        using var decoded = expected switch { "br" => new BrotliStream(body, CompressionMode.Decompress), "gzip" => new GZipStream(body, CompressionMode.Decompress), _ => body };
        Assert.Equal(Text, await new StreamReader(decoded).ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Head_Page_HasHeadersAndNoBody()
    {
        await using var edge = await StartAsync();
        var raw = await edge.SendRawAsync($"HEAD /text.txt HTTP/1.1\r\nHost: {Host}\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", raw, StringComparison.Ordinal);
        Assert.Contains($"\r\nContent-Length: {Text.Length}\r\n", raw, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n", raw, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("OPTIONS")]
    [InlineData("BREW")]
    public async Task Send_OtherMethod_405WithAllow(string method)
    {
        await using var edge = await StartAsync();
        using var response = await edge.SendAsync(new HttpMethod(method), Host, "/");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(["GET", "HEAD"], response.Content.Headers.Allow);
    }

    [Fact]
    public async Task Get_KnownTag_304WithoutBody()
    {
        await using var edge = await StartAsync();
        using var first = await edge.GetAsync(Host, "/text.txt", ("Accept-Encoding", "br"));
        using var second = await edge.GetAsync(Host, "/text.txt", ("Accept-Encoding", "br"), ("If-None-Match", "W/" + Header(first, "ETag")));
        using var otherCoding = await edge.GetAsync(Host, "/text.txt", ("If-None-Match", Header(first, "ETag")!));
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
        Assert.Equal(Header(first, "ETag"), Header(second, "ETag"));
        Assert.Equal("Accept-Encoding", Header(second, "Vary"));
        Assert.Equal("public, max-age=0, must-revalidate", Header(second, "Cache-Control"));
        Assert.Null(Header(second, "Content-Type"));
        Assert.Equal("", await TextAsync(second));
        Assert.Equal(HttpStatusCode.OK, otherCoding.StatusCode);
    }

    [Fact]
    public async Task Get_DateConditions_Decide()
    {
        await using var edge = await StartAsync();
        using var same = await edge.GetAsync(Host, "/", ("If-Modified-Since", "Wed, 01 Jan 2025 12:00:00 GMT"));
        using var older = await edge.GetAsync(Host, "/", ("If-Modified-Since", "Wed, 01 Jan 2025 11:00:00 GMT"));
        using var failed = await edge.GetAsync(Host, "/", ("If-Match", "\"other\""));
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        Assert.Equal(HttpStatusCode.OK, older.StatusCode);
        Assert.Equal(HttpStatusCode.PreconditionFailed, failed.StatusCode);
        Assert.Equal("no-store", Header(failed, "Cache-Control"));
    }

    [Theory]
    [InlineData("/text.txt")]
    [InlineData("/large.bin")]
    public async Task Get_OneRange_206(string path)
    {
        await using var edge = await StartAsync();
        using var whole = await edge.GetAsync(Host, path);
        var bytes = await BytesAsync(whole);
        using var response = await edge.GetAsync(Host, path, ("Range", "bytes=100-199"), ("If-Range", Header(whole, "ETag")!));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal($"bytes 100-199/{bytes.Length}", Header(response, "Content-Range"));
        Assert.Equal(bytes[100..200], await BytesAsync(response));
        using var changed = await edge.GetAsync(Host, path, ("Range", "bytes=100-199"), ("If-Range", "\"old\""));
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        Assert.Equal(bytes, await BytesAsync(changed));
    }

    [Theory]
    [InlineData("/text.txt")]
    [InlineData("/large.bin")]
    public async Task Get_SeveralRanges_MultipartOfExactLength(string path)
    {
        await using var edge = await StartAsync();
        var bytes = await BytesAsync(await edge.GetAsync(Host, path));
        using var response = await edge.GetAsync(Host, path, ("Range", "bytes=0-9,-5"));
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        var type = response.Content.Headers.ContentType!;
        Assert.Equal("multipart/byteranges", type.MediaType);
        var boundary = type.Parameters.Single().Value;
        var body = Encoding.Latin1.GetString(await BytesAsync(response));
        Assert.Equal(response.Content.Headers.ContentLength, body.Length);
        string Part(int from, int to) => $"Content-Range: bytes {from}-{to}/{bytes.Length}\r\n\r\n{Encoding.Latin1.GetString(bytes[from..(to + 1)])}\r\n--{boundary}";
        Assert.StartsWith($"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n", body, StringComparison.Ordinal);
        Assert.Contains(Part(0, 9), body, StringComparison.Ordinal);
        Assert.EndsWith(Part(bytes.Length - 5, bytes.Length - 1) + "--\r\n", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_RangeOutside_416()
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, "/text.txt", ("Range", "bytes=999999-"));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, response.StatusCode);
        Assert.Equal($"bytes */{Text.Length}", Header(response, "Content-Range"));
    }

    [Fact]
    public async Task Get_LargeFile_StreamsWhole()
    {
        await using var edge = await StartAsync();
        var bytes = await BytesAsync(await edge.GetAsync(Host, "/large.bin"));
        Assert.Equal(Large(), bytes);
    }

    [Fact]
    public async Task Get_Missing_CustomPageWith404()
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, "/nowhere", ("Range", "bytes=0-1"));
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("lost", await TextAsync(response));
        Assert.Null(Header(response, "ETag"));
    }

    [Fact]
    public async Task Get_MissingWithoutPage_OwnPageOrProblem()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new StaticTarget(new StaticSite([])));
        using var page = await edge.GetAsync(Host, "/", ("Accept", "text/html,*/*"));
        using var problem = await edge.GetAsync(Host, "/", ("Accept", "application/json"));
        Assert.Equal("text/html", page.Content.Headers.ContentType!.MediaType);
        Assert.Equal("application/problem+json", problem.Content.Headers.ContentType!.MediaType);
        Assert.Contains("\"code\":\"not_found\"", await TextAsync(problem), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/about", "about", null)]
    [InlineData("/about/?a=1&b=%20", null, "/about?a=1&b=%20")]
    [InlineData("/docs?x", null, "/docs/?x")]
    [InlineData("/%61bout", "about", null)]
    [InlineData("/sp%20ace/%C3%BC", "unicode", null)]
    public async Task Get_PrettyPath_ContentOrRedirect(string path, string? content, string? location)
    {
        await using var edge = await StartAsync();
        using var response = await edge.GetAsync(Host, path);
        Assert.Equal(content is null ? HttpStatusCode.MovedPermanently : HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(location, Header(response, "Location"));
        Assert.Equal(content ?? "", await TextAsync(response));
    }

    [Fact]
    public async Task Get_SiteUnderPrefix_SeesThePathBelowIt()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        var site = new StaticSite([edge.File("index.html", "docs home"), edge.File("a.html", "page a")]);
        edge.Edge.Update(new RouteTable([new(Host, new SiteRoutes([new Route("/my docs", new StaticTarget(site))]))]));
        using var bare = await edge.GetAsync(Host, "/my%20docs?q");
        using var home = await edge.GetAsync(Host, "/my%20docs/");
        using var page = await edge.GetAsync(Host, "/my%20docs/a");
        using var outside = await edge.GetAsync(Host, "/a");
        Assert.Equal("/my%20docs/?q", Header(bare, "Location"));
        Assert.Equal("docs home", await TextAsync(home));
        Assert.Equal("page a", await TextAsync(page));
        Assert.Equal(HttpStatusCode.NotFound, outside.StatusCode);
    }

    [Fact]
    public async Task Get_BlobLostOrDamaged_500WithoutInternals()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        var small = edge.File("small.txt", "small");
        var large = edge.File("large.txt", Large());
        edge.Route(Host, new StaticTarget(new StaticSite([small, large])));
        File.Delete(small.BlobPath);
        File.WriteAllText(large.BlobPath, "cut");
        foreach (var path in new[] { "/small.txt", "/large.txt" })
        {
            using var response = await edge.GetAsync(Host, path);
            Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
            Assert.DoesNotContain("/tmp", await TextAsync(response), StringComparison.Ordinal);
            Assert.Null(Header(response, "ETag"));
        }
    }

    [Fact]
    public async Task Get_CachedFile_NeedsNoFileSystem()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        var file = edge.File("a.txt", "kept");
        edge.Route(Host, new StaticTarget(new StaticSite([file])));
        (await edge.GetAsync(Host, "/a.txt")).Dispose();
        File.Delete(file.BlobPath);
        using var response = await edge.GetAsync(Host, "/a.txt");
        Assert.Equal("kept", await TextAsync(response));
    }

    [Fact]
    public async Task Get_EmptyFile_200()
    {
        await using var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new StaticTarget(new StaticSite([edge.File("empty.txt", "")])));
        using var response = await edge.GetAsync(Host, "/empty.txt");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(0, response.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task Get_ManyPipelined_AnswersInOrder()
    {
        await using var edge = await StartAsync();
        var requests = string.Concat(Enumerable.Range(0, 200).Select(i => $"GET {(i % 2 == 0 ? "/" : "/about")} HTTP/1.1\r\nHost: {Host}\r\n{(i == 199 ? "Connection: close\r\n" : "")}\r\n"));
        var raw = await edge.SendRawAsync(requests);
        var bodies = raw.Split("HTTP/1.1 200 OK\r\n")[1..].Select(answer => answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
        Assert.Equal(Enumerable.Range(0, 200).Select(i => i % 2 == 0 ? "home" : "about"), bodies);
    }

    private static async Task<EdgeUnderTest> StartAsync()
    {
        var edge = await EdgeUnderTest.StartAsync();
        edge.Route(Host, new StaticTarget(new StaticSite(
            [
                edge.File("index.html", "home"),
                edge.File("about.html", "about"),
                edge.File("docs/index.html", "docs"),
                edge.File("404.html", "lost"),
                edge.File("sp ace/ü.html", "unicode"),
                edge.File("text.txt", Text, compress: true),
                edge.File("assets/app.3f2a9c1d.js", "js", immutable: true),
                edge.File("large.bin", Large()),
            ],
            new StaticSiteOptions { LastModified = new DateTimeOffset(2025, 1, 1, 12, 0, 0, 999, TimeSpan.Zero) })));
        return edge;
    }

    private static byte[] Large()
    {
        var bytes = new byte[1_000_003];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values) ? values.ToString() : null;

    private static Task<string> TextAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    private static Task<byte[]> BytesAsync(HttpResponseMessage response) => response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
}

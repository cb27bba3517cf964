using BytePort.Edge.StaticFiles;
using FsCheck;
using FsCheck.Fluent;

namespace BytePort.Edge.Tests.StaticFiles;

public class StaticSiteTests
{
    [Theory]
    [InlineData("/", "index.html")]
    [InlineData("/index.html", "index.html")]
    [InlineData("/about", "about.html")]
    [InlineData("/about.html", "about.html")]
    [InlineData("/about/", "301 /about")]
    [InlineData("/docs", "301 /docs/")]
    [InlineData("/docs/", "docs/index.html")]
    [InlineData("/docs/index", "404")]
    [InlineData("/both", "both.html")]
    [InlineData("/both/", "both/index.html")]
    [InlineData("/plain", "plain")]
    [InlineData("/plain.html", "plain.html")]
    [InlineData("/a b/ü", "a b/ü.html")]
    [InlineData("/a b/ü/", "301 /a%20b/%C3%BC")]
    [InlineData("", "301 /")]
    [InlineData("//about", "404")]
    [InlineData("//about/", "404")]
    [InlineData("/ABOUT", "404")]
    [InlineData("/../etc/passwd", "404")]
    [InlineData("/%2e%2e/etc/passwd", "404")]
    public void Resolve_PrettyPaths_FindFilesOrRedirect(string path, string expected)
    {
        var site = Site(false, "index.html", "about.html", "docs/index.html", "both.html", "both/index.html", "plain", "plain.html", "a b/ü.html");
        Assert.Equal(expected, Describe(site.Resolve(path)));
    }

    [Fact]
    public void Resolve_Missing_UsesShellOrNotFoundPage()
    {
        Assert.Equal("index.html", Describe(Site(true, "index.html", "404.html").Resolve("/deep/link")));
        Assert.Equal("404 404.html", Describe(Site(false, "index.html", "404.html").Resolve("/deep/link")));
        Assert.Equal("404 404.html", Describe(Site(true, "404.html").Resolve("/deep/link")));
        Assert.Equal("404", Describe(Site(true).Resolve("/")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("a//b")]
    [InlineData("//a")]
    [InlineData("../a")]
    [InlineData("a/..")]
    [InlineData("./a")]
    [InlineData("a\0b")]
    [InlineData("a/")]
    public void Constructor_ImpossiblePath_Throws(string path) => Assert.Throws<ArgumentException>(() => Site(false, path));

    [Fact]
    public void Constructor_SamePathTwice_Throws() => Assert.Throws<ArgumentException>(() => Site(false, "a", "/a"));

    [Fact]
    public void Resolve_AnyTree_RedirectsEndAtAFile()
    {
        var segment = Gen.Elements("a", "b", "index", "index.html", "a.html", "index.html.html", ".html");
        var paths = segment.NonEmptyListOf().Select(parts => string.Join('/', parts.Take(4))).ListOf();
        Prop.ForAll(paths.ToArbitrary(), files =>
        {
            var site = Site(false, [.. files.Distinct()]);
            var asked = files.SelectMany(file => new[] { "/" + file, "/" + file + "/", "/" + file.Replace(".html", "", StringComparison.Ordinal) }).Append("/").Append("");
            return asked.All(path =>
            {
                var answer = site.Resolve(path);
                return answer.Location is null || site.Resolve(Uri.UnescapeDataString(answer.Location)) is { Status: 200, Entry: not null };
            });
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Normalise_AnyText_IsSafeOrRefused() => Prop.ForAll<string>(text =>
    {
        string path;
        try
        {
            path = SitePath.Normalise(text ?? "");
        }
        catch (ArgumentException)
        {
            return true;
        }

        return path.StartsWith('/') && !path.Any(char.IsControl) && path[1..].Split('/').All(segment => segment is not ("" or "." or ".."));
    }).QuickCheckThrowOnFailure();

    private static StaticSite Site(bool spa, params string[] paths) =>
        new(paths.Select(path => new StaticFile(path, "/nowhere", 0, path, path, false, [])), new StaticSiteOptions { Spa = spa });

    private static string Describe(SiteAnswer answer) => (answer.Status, answer.Entry?.ContentType.ToString(), answer.Location) switch
    {
        (200, { } name, _) => name,
        (var status, { } name, _) => $"{status} {name}",
        (var status, null, { } location) => $"{status} {location}",
        (var status, null, null) => $"{status}",
    };
}

using BytePort.Builds.Sites;

namespace BytePort.Builds.Tests.Sites;

public class HashedNamesTests
{
    [Theory]
    [InlineData("assets/index-BkX3f9_a.js")]
    [InlineData("assets/index-C-8xk_2P.css")]
    [InlineData("assets/index-DPbQqTda.js")]
    [InlineData("assets/react-CHdo91hT.svg")]
    [InlineData("static/js/main.8f3e2a1b.js")]
    [InlineData("static/js/main.8f3e2a1b.js.map")]
    [InlineData("static/js/787.8f3e2a1b.chunk.js")]
    [InlineData("main-5RFXVY5X.js")]
    [InlineData("_astro/index.DX5a1b2c.css")]
    [InlineData("_app/immutable/chunks/anything.js")]
    [InlineData("_next/static/chunks/main.js")]
    public void IsHashed_BundlersName_True(string path) => Assert.True(HashedNames.IsHashed(path));

    [Theory]
    [InlineData("index.html")]
    [InlineData("assets/page-BkX3f9_a.html")]
    [InlineData("assets/logo-BytePort.svg")]
    [InlineData("assets/hero-FullPage.png")]
    [InlineData("assets/logo-Version2.png")]
    [InlineData("assets/photo-20240101.jpg")]
    [InlineData("assets/video-chapter1.mp4")]
    [InlineData("assets/os-ubuntu22.png")]
    [InlineData("js/jquery-3.7.1.min.js")]
    [InlineData("js/bootstrap.bundle.min.js")]
    [InlineData("docs/report-facade12.pdf")]
    [InlineData("downloads/setup-BkX3f9_a.exe")]
    [InlineData("app.js")]
    [InlineData("assets/BkX3f9_a")]
    public void IsHashed_PeoplesName_False(string path) => Assert.False(HashedNames.IsHashed(path));
}

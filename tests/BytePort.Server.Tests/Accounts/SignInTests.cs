using System.Net;
using BytePort.Server.Accounts;
using BytePort.Server.Tests.Platform;
using Microsoft.Extensions.DependencyInjection;

namespace BytePort.Server.Tests.Accounts;

public class SignInTests(TestPlatform platform)
{
    [Fact]
    public async Task Link_Once_GivesASessionAndThenNoMore()
    {
        var link = await platform.Services.GetRequiredService<FirstStart>().PrepareAsync(default);
        using var browser = platform.Client(null);

        using var first = await browser.GetAsync(link);
        using var second = await browser.GetAsync(link);

        Assert.Equal((HttpStatusCode.Redirect, HttpStatusCode.Gone), (first.StatusCode, second.StatusCode));
        var cookie = Assert.Single(first.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/");
        request.Headers.Add("Cookie", cookie.Split(';')[0]);
        using var page = await browser.SendAsync(request);
        Assert.Contains("Your projects", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cookie_FromAForeignPage_ChangesNothing()
    {
        using var browser = platform.Client(null);
        using var signedIn = await browser.GetAsync(await platform.Services.GetRequiredService<FirstStart>().PrepareAsync(default));
        using var request = new HttpRequestMessage(HttpMethod.Delete, "/api/v1/projects/any");
        request.Headers.Add("Cookie", signedIn.Headers.GetValues("Set-Cookie").Single().Split(';')[0]);
        request.Headers.Add("Sec-Fetch-Site", "cross-site");
        using var response = await browser.SendAsync(request);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task LoginFile_AfterSecondStart_KeepsItsTokenAndMode()
    {
        var path = Path.Combine(platform.Options.DataFolder, "login.json");
        var before = await File.ReadAllTextAsync(path);
        await platform.Services.GetRequiredService<FirstStart>().PrepareAsync(default);

        Assert.Equal(before, await File.ReadAllTextAsync(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public async Task FrontPage_SignedOut_SaysThatItIsUpAndNamesNoProject()
    {
        using var browser = platform.Client(null);
        var page = await browser.GetStringAsync("/");

        Assert.Contains("BytePort is up", page, StringComparison.Ordinal);
        Assert.DoesNotContain("Your projects", page, StringComparison.Ordinal);
    }
}

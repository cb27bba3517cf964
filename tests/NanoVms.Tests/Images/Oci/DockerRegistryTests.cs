using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using NanoVms.Commands;
using NanoVms.Images;
using NanoVms.Images.Oci;

namespace NanoVms.Tests.Images.Oci;

/// <summary>Debian's docker-registry with a password file: what our own registry of the other tests is compared with.</summary>
public sealed class DockerRegistryTests : IAsyncLifetime
{
    // bcrypt of the password below; the registry takes no other kind.
    private const string PasswordFile = "ci:$2b$12$ArG5Gm.dWoSkwHj5cuHhz.N4DUjbvISaLKU71qGvwqv.yrYLME6L2\n";
    private const string Password = "secret-word";

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-registry-").FullName;
    private readonly TestRegistry _source = new();
    private Process _registry = null!;
    private string _host = "";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _host = $"127.0.0.1:{FreePort()}";
        await File.WriteAllTextAsync(Path.Combine(_folder, "htpasswd"), PasswordFile);
        await File.WriteAllTextAsync(Path.Combine(_folder, "config.yml"), $"""
            version: 0.1
            log: {"{ level: error }"}
            storage: {"{ filesystem: { rootdirectory: " + _folder + "/data } }"}
            http: {"{ addr: '" + _host + "' }"}
            auth: {"{ htpasswd: { realm: test, path: " + _folder + "/htpasswd } }"}
            """);
        _registry = Process.Start(new ProcessStartInfo("docker-registry", ["serve", Path.Combine(_folder, "config.yml")]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        _registry.OutputDataReceived += (_, _) => { };
        _registry.ErrorDataReceived += (_, _) => { };
        _registry.BeginOutputReadLine();
        _registry.BeginErrorReadLine();
        using var http = new HttpClient();
        for (var tries = 0; ; tries++)
        {
            try
            {
                Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync($"http://{_host}/v2/", Token)).StatusCode);
                break;
            }
            catch (HttpRequestException) when (tries < 100 && !_registry.HasExited)
            {
                await Task.Delay(50, Token);
            }
        }

        _source.Push("1", [TestRegistry.Layer(TestRegistry.File("a", "x")), TestRegistry.Layer(TestRegistry.File("b", "y"))], new { Cmd = new[] { "/a" } });
        await CommandRunner.RunCheckedAsync(
            new Command(
                "skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", $"--dest-creds=ci:{Password}",
                $"docker://{_source.Host}/app:1", $"docker://{_host}/team/app:1"),
            Token);
    }

    public async ValueTask DisposeAsync()
    {
        _source.Dispose();
        if (!_registry.HasExited)
        {
            _registry.Kill();
            await _registry.WaitForExitAsync(CancellationToken.None);
        }

        _registry.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Pull_PrivateImage_IsThereByTagAndDigestAfterwards()
    {
        var store = new ImageStore(Path.Combine(_folder, "store"));
        var reference = $"{_host}/team/app:1";
        var refused = await Assert.ThrowsAsync<ImageException>(() => store.PullAsync(reference, null, null, Token));
        Assert.False(refused.IsTransient, refused.Message);
        Assert.False((await Assert.ThrowsAsync<ImageException>(() => PullAsync(store, reference, "wrong-word"))).IsTransient);

        var image = await PullAsync(store, reference, Password);
        Assert.Equal((2, "/a"), (image.Layers.Count, image.ToProcess().Command.Single()));
        var exact = await PullAsync(store, $"{_host}/team/app@{image.Digest}", Password);
        Assert.Equal(image.Layers, exact.Layers);

        // The store has it now, and the registry is not asked.
        _registry.Kill();
        Assert.Equal(image.Digest, (await store.PullAsync(reference, null, null, Token)).Digest);
        Assert.Equal(image.Digest, (await store.PullAsync(exact.Reference, null, null, Token)).Digest);
        Assert.DoesNotContain(
            Directory.EnumerateFiles(store.Folder, "*", SearchOption.AllDirectories),
            path => File.ReadAllText(path).Contains("secret", StringComparison.Ordinal) || path.EndsWith("auth.json", StringComparison.Ordinal));
    }

    private static Task<OciImage> PullAsync(ImageStore store, string reference, string password) =>
        store.PullAsync(reference, new OciPullOptions { Credentials = new("ci", password), Owner = "team" }, null, Token);

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}

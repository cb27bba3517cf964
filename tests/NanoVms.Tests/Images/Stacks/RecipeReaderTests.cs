using NanoVms.Images;
using NanoVms.Images.Stacks;

namespace NanoVms.Tests.Images.Stacks;

public sealed class RecipeReaderTests
{
    private const string Debian = "version: '1'\nsuite: bookworm\n";

    [Fact]
    public void Read_WholeRecipe_ReadsEverything()
    {
        var recipe = RecipeReader.Read("cache", "cache.yaml", """
            name: cache
            version: "7.0"
            default: latest
            aliases: { latest: "7" }
            suite: bookworm
            packages: [redis-server, libfoo=1.2-3]
            run:
              - [sh, -c, "true"]
            trim: [usr/share/x]
            files:
              - { path: /etc/redis/own.conf, content: "port 1\n", mode: "0600", owner: app }
            user: redis
            environment: { B: "2", A: "1" }
            """);

        Assert.Equal(("cache", "7.0", "latest", "7"), (recipe.Name, recipe.Version, recipe.Default, recipe.Aliases["latest"]));
        Assert.Equal(("bookworm", "redis-server,libfoo=1.2-3", "sh -c true", "usr/share/x"), (
            recipe.Debian!.Suite, string.Join(',', recipe.Debian.Packages), string.Join(' ', recipe.Debian.Run.Single()), recipe.Debian.Trim.Single()));
        Assert.Equal(new RecipeFile("/etc/redis/own.conf", "port 1\n", 0x180, "app"), recipe.Files.Single());
        Assert.Equal(("redis", "A=1 B=2"), (recipe.User, string.Join(' ', recipe.Environment.Select(pair => $"{pair.Key}={pair.Value}"))));
    }

    [Theory]
    [InlineData("version: '1'\n", "x.yaml:1: a recipe has either 'suite'")]
    [InlineData("suite: bookworm\n", "x.yaml:1: 'version' is missing")]
    [InlineData(Debian + "colour: red\n", "x.yaml:3: colour is not known here; known are name, version")]
    [InlineData(Debian + "packages: [curl, 'a b']\n", "x.yaml:3: packages[1] is 'a b', which is not a Debian package")]
    [InlineData(Debian + "packages:\n  - '--include=x'\n", "x.yaml:4: packages[0] is '--include=x'")]
    [InlineData(Debian + "packages: curl\n", "x.yaml:3: packages must be a list")]
    [InlineData("version: '1'\nsuite: 'book worm'\n", "x.yaml:2: suite is 'book worm', which is not a Debian suite")]
    [InlineData(Debian + "on: base\n", "x.yaml:3: on stands beside 'suite'")]
    [InlineData("version: '1'\non: base\npackages: [a1]\nfiles: []\n", "x.yaml:3: packages needs 'suite'")]
    [InlineData("version: '1'\non: base\n", "x.yaml:2: on is all there is")]
    [InlineData(Debian + "run: [ls]\n", "x.yaml:3: run must be a list of commands, each a list")]
    [InlineData(Debian + "trim: [../etc]\n", "x.yaml:3: trim[0] is '../etc'")]
    [InlineData(Debian + "trim: [/etc]\n", "x.yaml:3: trim[0] is '/etc'")]
    [InlineData(Debian + "files:\n  - { path: /a/../../b, content: x }\n", "x.yaml:4: files[0].path is '/a/../../b'")]
    [InlineData(Debian + "files:\n  - { path: /a, content: x, mode: '4755' }\n", "x.yaml:4: files[0].mode is '4755'")]
    [InlineData(Debian + "files:\n  - path: /a\n", "x.yaml:4: 'content' is missing")]
    [InlineData(Debian + "environment: { 1A: x }\n", "x.yaml:3: environment has the name '1A'")]
    [InlineData(Debian + "environment: { A: [x] }\n", "x.yaml:3: environment.A has a value that is malformed")]
    [InlineData(Debian + "user: 'a b'\n", "x.yaml:3: user is 'a b'")]
    [InlineData(Debian + "name: y\n", "x.yaml:3: name is 'y', but the file is named for 'x'")]
    [InlineData(Debian + "suite: sid\n", "x.yaml:3: this is not YAML")]
    [InlineData("on: base\nversion: '1'\nnpm: { runtime: a }\n", "x.yaml:2: version is the runtime's own with npm")]
    [InlineData("[a]", "x.yaml:1: a recipe is a map")]
    [InlineData("", "x.yaml:1: a recipe is a map")]
    [InlineData("a: [", "x.yaml:2: this is not YAML")]
    [InlineData("!!binary \"%\": &a *a", "x.yaml:1: ")]
    public void Read_WrongRecipe_NamesFileLineAndKey(string text, string error)
    {
        var failure = Assert.Throws<ImageException>(() => RecipeReader.Read("x", "x.yaml", text));
        Assert.StartsWith(error, failure.Message, StringComparison.Ordinal);
        Assert.Equal(ImageFault.Invalid, failure.Fault);
    }

    [Fact]
    public void Read_SeveralErrors_NamesAllByLine()
    {
        var failure = Assert.Throws<ImageException>(() => RecipeReader.Read("x", "x.yaml", Debian + "user: 'a b'\npackages: ['-']\nfiles: 1\n"));
        Assert.Equal([3, 4, 5], failure.Message.Split('\n').Select(line => int.Parse(line.Split(':')[1], null)));
    }

    [Fact]
    public void Read_TooLarge_IsRefused() =>
        Assert.Contains("larger than 256 KiB", Assert.Throws<ImageException>(() => RecipeReader.Read("x", "x.yaml", new string('#', 300_000))).Message, StringComparison.Ordinal);

    [Fact]
    public void Keys_FollowFromWhatIsMade()
    {
        var recipe = RecipeReader.Read("x", "x.yaml", Debian + "packages: [a1]\n");
        var comment = RecipeReader.Read("x", "y.yaml", "# other words\n" + Debian + "packages:\n  - a1\n");
        var value = RecipeReader.Read("x", "x.yaml", Debian + "packages: [a1]\nenvironment: { A: b }\n");
        var package = RecipeReader.Read("x", "x.yaml", Debian + "packages: [a2]\n");

        Assert.Equal(recipe.ImageKey("1", null), comment.ImageKey("1", null));
        Assert.Equal(recipe.LayerKey("1"), value.LayerKey("1"));
        Assert.NotEqual(recipe.ImageKey("1", null), value.ImageKey("1", null));
        Assert.NotEqual(recipe.ImageKey("1", "a"), recipe.ImageKey("1", "b"));
        Assert.NotEqual(recipe.LayerKey("1"), package.LayerKey("1"));
    }
}

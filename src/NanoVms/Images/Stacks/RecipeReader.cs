using System.Text;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace NanoVms.Images.Stacks;

/// <summary>Reads a recipe and finds everything that is wrong with it; each error names file, line and key.</summary>
internal sealed partial class RecipeReader
{
    public const int MaxBytes = 256 << 10;
    private const int MaxItems = 500;

    /// <summary>What commands call the small guest kernel by, which is no stack.</summary>
    public const string Reserved = "kernel";


    private static readonly string[] Keys =
        ["name", "version", "default", "aliases", "on", "suite", "packages", "run", "trim", "npm", "files", "user", "environment"];

    private readonly string _origin;
    private readonly List<(long Line, string Text)> _errors = [];

    private RecipeReader(string origin) => _origin = origin;

    /// <param name="name">The stack's name, which the file's name gives.</param>
    /// <param name="origin">The file, as errors name it.</param>
    /// <exception cref="ImageException">It is no recipe; all errors are named, one a line.</exception>
    public static StackRecipe Read(string name, string origin, string text)
    {
        var reader = new RecipeReader(origin);
        var recipe = reader.ReadText(name, text);
        return recipe is not null && reader._errors.Count == 0
            ? recipe
            : throw new ImageException(string.Join('\n', reader._errors.OrderBy(error => error.Line).Select(error => $"{origin}:{error.Line}: {error.Text}"))) { Fault = ImageFault.Invalid };
    }

    public static bool IsName(string name) => NameForm().IsMatch(name);

    private StackRecipe? ReadText(string name, string text)
    {
        if (name == Reserved)
            _errors.Add((1, $"'{Reserved}' is the small guest kernel's name in commands. Call your stack something else."));
        else if (!IsName(name))
            _errors.Add((1, $"'{Short(name)}' is no name of a stack; it is 1 to 39 of a-z, 0-9 and '-', beginning with a letter."));
        if (Encoding.UTF8.GetByteCount(text) > MaxBytes)
        {
            _errors.Add((1, $"the file is larger than {MaxBytes >> 10} KiB."));
            return null;
        }

        YamlMappingNode? root;
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            root = stream.Documents is [{ RootNode: YamlMappingNode map }] ? map : null;
        }
        catch (YamlException e)
        {
            _errors.Add((e.Start.Line, $"this is not YAML: {e.Message.TrimEnd('.')}."));
            return null;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException or OverflowException)
        {
            // The parser's own slips on malformed tags and escapes.
            _errors.Add((1, $"this is not YAML: {e.Message.TrimEnd('.')}."));
            return null;
        }

        if (root is null)
        {
            _errors.Add((1, "a recipe is a map of keys and values, such as 'suite: bookworm'."));
            return null;
        }

        return ReadRecipe(name, text, new RecipeMap(root, "", Keys, Fail));
    }

    private StackRecipe ReadRecipe(string name, string text, RecipeMap map)
    {
        if (map.Text("name") is { } given && given != name)
            map.Fail("name", $"is '{Short(given)}', but the file is named for '{name}'. Rename one of them.");
        var suite = map.Match("suite", SuiteForm(), "a Debian suite, such as bookworm");
        var npm = map.Map("npm", ["runtime", "manager", "managers"]);
        var below = map.Match("on", OnForm(), "a stack, such as base or node@22");
        var version = map.Match("version", VersionForm(), "1 to 3 numbers, such as \"3.11\"");
        if (map.Has("suite") == map.Has("on"))
            map.Fail(map.Has("on") ? "on" : null, map.Has("on") ? "stands beside 'suite': a stack is made of Debian packages, or stands on another one." : "a recipe has either 'suite', and is made of Debian packages, or 'on', and stands on another stack.");
        if (npm is not null && !map.Has("on"))
            map.Fail("npm", "needs 'on': the stack that the runtime stands on.");
        if (npm is null && !map.Has("version"))
            map.Fail(null, "'version' is missing, such as version: \"1\".");
        if (npm is not null && map.Has("version"))
            map.Fail("version", "is the runtime's own with npm; leave it out.");
        if (!map.Has("suite"))
        {
            foreach (var key in (string[])["packages", "run", "trim"])
                if (map.Has(key))
                    map.Fail(key, "needs 'suite': it is for stacks of Debian packages.");
        }

        if (below is not null && npm is null && !map.Has("files") && !map.Has("environment") && !map.Has("user"))
            map.Fail("on", "is all there is: add files, environment or user, else the stack is the one below.");
        return new StackRecipe
        {
            Name = name,
            Origin = _origin,
            Text = text,
            On = below,
            Version = version,
            Default = map.Match("default", RangeForm(), "a version or an alias"),
            Aliases = map.Pairs("aliases", AliasForm(), RangeForm()),
            Debian = suite is null ? null : new DebianRecipe
            {
                Suite = suite,
                Packages = map.List("packages", PackageForm(), "a Debian package, such as curl or curl=7.88.1-10"),
                Run = [.. map.Lists("run", "a list of commands, each a list of arguments: [[python3, -m, venv, /app/.venv]]")],
                Trim = map.List("trim", TrimForm(), "a folder relative to the root, without '..'"),
            },
            Npm = npm is null ? null : new NpmRecipe
            {
                Runtime = npm.Match("runtime", NpmForm(), "an npm package", required: true) ?? "",
                Manager = npm.Match("manager", NpmForm(), "an npm package", required: true) ?? "",
                Managers = npm.Pairs("managers", NumberForm(), NumberForm()),
            },
            Files = [.. map.Maps("files", ["path", "content", "mode", "owner"]).Select(file => ReadFile(file, npm is not null))],
            User = map.Match("user", UserForm(), "an account by name, such as app"),
            Environment = map.Pairs("environment", VariableForm(), AnyForm()),
        };
    }

    private static RecipeFile ReadFile(RecipeMap map, bool isNpm)
    {
        var path = map.Match("path", PathForm(), "an absolute path of a file, without '.', '..' or '//'", required: true) ?? "/";
        var mode = map.Match("mode", ModeForm(), "permissions in octal and quotes, such as \"0644\"") ?? "0644";
        var owner = map.Match("owner", OwnerForm(), "root or app") ?? "root";
        if (isNpm && owner != "root")
            map.Fail("owner", "must be root in a recipe with npm.");
        if (!map.Has("content"))
            map.Fail(null, "'content' is missing: the file's text.");
        return new RecipeFile(path, map.Text("content") ?? "", Convert.ToInt32(mode, 8), owner);
    }

    private void Fail(long line, string text)
    {
        if (_errors.Count < MaxItems)
            _errors.Add((line, text));
    }

    private static string Short(string text) => text.Length <= 60 ? text : text[..60] + "…";

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{0,38}\z")]
    private static partial Regex NameForm();

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{0,38}(@[0-9a-z.*-]{1,40})?\z")]
    private static partial Regex OnForm();

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{1,30}\z")]
    private static partial Regex SuiteForm();

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9+.-]{1,100}(:[a-z0-9]{1,20})?(=[A-Za-z0-9.+:~-]{1,100})?\z")]
    private static partial Regex PackageForm();

    [GeneratedRegex(@"\A[0-9]{1,6}(\.[0-9]{1,6}){0,2}\z")]
    private static partial Regex VersionForm();

    [GeneratedRegex(@"\A[0-9A-Za-z.*^~<>=| /-]{1,60}\z")]
    private static partial Regex RangeForm();

    [GeneratedRegex(@"\A[a-z][a-z0-9/*.-]{0,39}\z")]
    private static partial Regex AliasForm();

    [GeneratedRegex(@"\A(?!.*(^|/)\.\.?(/|\z))[^/\0-\x1f][^\0-\x1f]{0,400}\z")]
    private static partial Regex TrimForm();

    [GeneratedRegex(@"\A(/(?!\.\.?(/|\z))[^/\0-\x1f]{1,200}){1,20}\z")]
    private static partial Regex PathForm();

    [GeneratedRegex(@"\A0?[0-7]{3}\z")]
    private static partial Regex ModeForm();

    [GeneratedRegex(@"\A(root|app)\z")]
    private static partial Regex OwnerForm();

    [GeneratedRegex(@"\A[a-z_][a-z0-9_-]{0,31}\z")]
    private static partial Regex UserForm();

    [GeneratedRegex(@"\A(@[a-z0-9._-]{1,100}/)?[a-z0-9._-]{1,100}\z")]
    private static partial Regex NpmForm();

    [GeneratedRegex(@"\A[0-9]{1,6}\z")]
    private static partial Regex NumberForm();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_]{0,200}\z")]
    private static partial Regex VariableForm();

    [GeneratedRegex(@"\A[^\0]{0,32768}\z")]
    private static partial Regex AnyForm();
}

using System.Collections.Frozen;
using NanoVms.Commands;

namespace NanoVms.Images.Stacks;

/// <summary>
/// The recipes there are: those of this library, and the operator's own, files <c>NAME.yaml</c> of a folder. One of the operator's
/// takes the place of a built-in one of the same name. Files are read when they are asked for, so a change needs no restart.
/// </summary>
/// <param name="folder">Of the operator; null for none.</param>
internal sealed class StackRecipes(string? folder)
{
    private const int MaxFiles = 500;
    private const string Extension = ".yaml";

    private static readonly Lazy<FrozenDictionary<string, StackRecipe>> BuiltIn = new(ReadBuiltIn);

    /// <summary>All names, also of files that cannot be read.</summary>
    public IReadOnlyList<string> Names => [.. Own().Select(Name).Concat(BuiltIn.Value.Keys).Distinct().Order(StringComparer.Ordinal)];

    /// <exception cref="ImageException">There is none of the name, or it is wrong.</exception>
    public StackRecipe Get(string name)
    {
        if (RecipeReader.IsName(name) && folder is not null && File.Exists(PathOf(name)))
            return Read(PathOf(name));
        return BuiltIn.Value.GetValueOrDefault(name)
            ?? throw new ImageException($"There is no stack '{name}'. Known are {string.Join(", ", Names)}.") { Fault = ImageFault.NotFound };
    }

    /// <summary>What is wrong with the operator's recipes: one text a file.</summary>
    public IReadOnlyList<string> FindProblems()
    {
        var problems = new List<string>();
        foreach (var path in Own())
        {
            try
            {
                _ = Read(path);
            }
            catch (ImageException e)
            {
                problems.Add(e.Message);
            }
        }

        return problems;
    }

    /// <summary>Keeps a recipe that was checked, in place of one of the same name.</summary>
    /// <exception cref="ImageException">There is no folder for it.</exception>
    public void Keep(StackRecipe recipe)
    {
        if (folder is null)
            throw new ImageException($"The recipe '{recipe.Name}' cannot be kept: no folder for recipes was given.");
        _ = Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SafeFile.WriteText(PathOf(recipe.Name), recipe.Text);
    }

    private IEnumerable<string> Own() => folder is not null && Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal).Take(MaxFiles)
        : [];

    private string PathOf(string name) => Path.Combine(folder!, name + Extension);

    private static string Name(string path) => Path.GetFileName(path)[..^Extension.Length];

    private static StackRecipe Read(string path)
    {
        try
        {
            // Its commands run as root: whoever may write it is root.
            if ((File.GetUnixFileMode(path) & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
                throw new ImageException($"{path}: others than its owner may write the file, and its commands run as root. Correct it: chmod go-w {path}") { Fault = ImageFault.Invalid };
            var file = new FileInfo(path);
            if (file.Length > RecipeReader.MaxBytes)
                throw new ImageException($"{path}: the file is larger than {RecipeReader.MaxBytes >> 10} KiB.") { Fault = ImageFault.Invalid };
            return RecipeReader.Read(Name(path), path, File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private static FrozenDictionary<string, StackRecipe> ReadBuiltIn()
    {
        const string ResourceEnd = ".stack.yaml";
        var assembly = typeof(StackRecipes).Assembly;
        return assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith(ResourceEnd, StringComparison.Ordinal))
            .Select(resource =>
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
                var name = resource[..^ResourceEnd.Length];
                return RecipeReader.Read(name, $"stacks/{name}.yaml", reader.ReadToEnd());
            })
            .ToFrozenDictionary(recipe => recipe.Name);
    }
}

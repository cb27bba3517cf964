using System.Text.RegularExpressions;
using BytePort.Manifest;

namespace BytePort.Builds.Detection;

/// <summary>Services in Python.</summary>
internal static partial class PythonDetection
{
    public const string Stack = "python@3";

    private static readonly string[] Markers = ["requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "manage.py", "wsgi.py", "asgi.py", "app.py", "main.py", "server.py"];

    private static readonly string[] Entries = ["app.py", "main.py", "server.py", "wsgi.py", "asgi.py"];

    /// <summary>Null when none of the files that mark a Python project is there.</summary>
    public static Detected? Detect(ServiceFolder folder, bool isStartGiven)
    {
        if (folder.FirstOf(Markers) is not { } marker)
            return null;
        var notes = new List<string> { $"Python 3 because there is a {marker}." };
        var install = Install(folder, notes);
        var detected = new Detected { Kind = ServiceKind.Web, Stack = Stack, InstallCommand = install, InstallForRunCommand = install, Notes = notes };
        if (isStartGiven)
            return detected;
        if (Start(folder) is not { } start)
            return null;
        notes.Add($"Starts with '{start.Command}' because {start.Why}.");
        return detected with { StartCommand = start.Command };
    }

    private static string? Install(ServiceFolder folder, List<string> notes)
    {
        if (folder.Read("requirements.txt") is { } requirements)
        {
            if (requirements.Split('\n').All(line => line.Trim() is "" or ['#', ..]))
                return null;
            notes.Add("pip install because there is a requirements.txt.");
            return "pip install -r requirements.txt";
        }

        // A pyproject.toml may hold only a formatter's settings: without a build system or a project there is nothing to install.
        if (folder.Read("pyproject.toml") is { } project && ProjectTable().IsMatch(project))
        {
            notes.Add("pip install . because pyproject.toml describes a package.");
            return "pip install .";
        }

        if (folder.Has("Pipfile"))
        {
            notes.Add("pipenv because there is a Pipfile.");
            return $"pip install pipenv && pipenv install --system {(folder.Has("Pipfile.lock") ? "--deploy" : "--skip-lock")}";
        }

        return null;
    }

    private static (string Command, string Why)? Start(ServiceFolder folder)
    {
        var dependencies = $"{folder.Read("requirements.txt")}\n{folder.Read("pyproject.toml")}\n{folder.Read("Pipfile")}";
        var hasGunicorn = Names(dependencies, "gunicorn");
        if (folder.Read("manage.py") is { } manage)
        {
            var settings = DjangoSettings().Match(manage);
            return settings.Success && hasGunicorn
                ? ($"gunicorn --bind 0.0.0.0:$PORT {settings.Groups[1].Value}.wsgi", "it is a Django project with gunicorn")
                : ("python3 manage.py runserver 0.0.0.0:$PORT", "it is a Django project; add gunicorn to the requirements for more than trying it out");
        }

        if (folder.FirstOf(Entries) is not { } entry)
            return null;
        var module = Path.GetFileNameWithoutExtension(entry);
        var variable = Application().Match(folder.Read(entry) ?? "");
        var application = variable.Success ? $"{module}:{variable.Groups[1].Value}" : null;
        if (application is not null && Names(dependencies, "uvicorn"))
            return ($"uvicorn {application} --host 0.0.0.0 --port $PORT", $"{entry} holds an application and uvicorn is required");
        if (application is not null && hasGunicorn)
            return ($"gunicorn --bind 0.0.0.0:$PORT {application}", $"{entry} holds an application and gunicorn is required");
        if (application is not null && Names(dependencies, "flask"))
            return ($"flask --app {application} run --host 0.0.0.0 --port $PORT", $"{entry} holds a Flask application");
        return ($"python3 {entry}", "that file is there");
    }

    private static bool Names(string dependencies, string package) =>
        Regex.IsMatch(dependencies, $@"(?im)(^|[\s""'\[,]){package}(\s|[\[<>=~!;""',]|$)", RegexOptions.None, TimeSpan.FromSeconds(1));

    [GeneratedRegex(@"(?m)^\[(project|build-system|tool\.poetry)\]")]
    private static partial Regex ProjectTable();

    [GeneratedRegex(@"DJANGO_SETTINGS_MODULE['""]\s*,\s*['""]([A-Za-z_][\w]*)\.settings")]
    private static partial Regex DjangoSettings();

    [GeneratedRegex(@"(?m)^(app|application|api)\s*(?::\s*\w+\s*)?=")]
    private static partial Regex Application();
}

using System.Globalization;
using BytePort.Cli.Api;
using BytePort.Cli.Logs;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Deployments;

/// <summary>Shows a deployment while it runs, on standard error; a quiet one shows only the last lines, and only when it fails.</summary>
internal sealed class DeploymentView(CliHost host, bool quiet)
{
    private const int LastLines = 20;

    private readonly Queue<LogLine> _last = new();
    private readonly Dictionary<string, string> _steps = [];
    private int? _position;
    private string? _step;

    public void Show(LogLine line)
    {
        if (quiet)
        {
            _last.Enqueue(line);
            if (_last.Count > LastLines)
                _last.Dequeue();
            return;
        }

        if (line.Step is { } step && step != _step)
        {
            _step = step;
            host.Note(Dim($"── {step}"));
        }

        host.Note(LogText.Format(line, host.Colors));
    }

    public void Show(Deployment deployment)
    {
        if (quiet)
            return;
        if (deployment.Status == "queued" && deployment.QueuePosition is { } position && position != _position)
            host.Note(string.Create(CultureInfo.InvariantCulture, $"Queued at position {position}"));
        _position = deployment.QueuePosition;
        foreach (var step in deployment.Steps ?? [])
        {
            if (step.Name == _step && step.Status == "done" && _steps.GetValueOrDefault(step.Name) != "done")
                host.Note(Dim($"✓ {step.Name}{Took(step.StartedAt, step.FinishedAt)}"));
            _steps[step.Name] = step.Status;
        }
    }

    /// <summary>The last word: the URL on standard output when it is live (and that is not printed as JSON), else the reason and what to do.</summary>
    public void ShowEnd(Deployment deployment, bool json)
    {
        var took = Took(deployment.CreatedAt, deployment.FinishedAt);
        if (deployment.Status == "live")
        {
            if (json)
                return;
            if (!quiet)
                host.Note(string.Create(CultureInfo.InvariantCulture, $"Deployment {deployment.Number} of {deployment.Project} is live{took}"));
            host.Result(deployment.Url ?? "");
            return;
        }

        foreach (var line in _last)
            host.Note(LogText.Format(line, host.Colors));
        var code = deployment.Code is null ? "" : $" ({deployment.Code})";
        var reason = deployment.Reason is null ? "" : $": {deployment.Reason.TrimEnd('.')}{code}";
        host.Note(string.Create(CultureInfo.InvariantCulture, $"Deployment {deployment.Number} of {deployment.Project} is {deployment.Status}{took}{reason}."));
        if (deployment.Status == "failed")
            host.Note(string.Create(CultureInfo.InvariantCulture, $"What served before still serves. The whole log: byteport logs {deployment.Project} --build {deployment.Number}"));
    }

    private static string Took(DateTimeOffset? start, DateTimeOffset? end) =>
        start is { } from && end is { } to ? string.Create(CultureInfo.InvariantCulture, $" after {(to - from).TotalSeconds:0.0} s") : "";

    private string Dim(string text) => host.Colors ? $"\u001b[2m{text}\u001b[0m" : text;
}

using System.Globalization;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace BytePort.Manifest;

/// <summary>Writes a manifest as <c>byteport.yaml</c>; what is not said is left out.</summary>
public static partial class ManifestWriter
{
    /// <summary>YAML that <see cref="ManifestReader"/> reads as the same manifest.</summary>
    public static string Write(ProjectManifest manifest)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        var emitter = new Emitter(text, new EmitterSettings(bestIndent: 2, bestWidth: int.MaxValue, isCanonical: false, maxSimpleKeyLength: 1024));
        emitter.Emit(new StreamStart());
        emitter.Emit(new DocumentStart(null, null, isImplicit: true));
        Emit(emitter, Describe(manifest));
        emitter.Emit(new DocumentEnd(isImplicit: true));
        emitter.Emit(new StreamEnd());
        return text.ToString();
    }

    private static Mapping Describe(ProjectManifest manifest) => new Mapping()
        .Add("name", manifest.Name)
        .Add("services", manifest.Services.Aggregate(new Mapping(), (all, service) => all.Add(service.Name, Describe(service), keepEmpty: true)))
        .Add("portfolio", manifest.Portfolio is not { } portfolio ? null : new Mapping()
            .Add("show", portfolio.Show)
            .Add("title", portfolio.Title)
            .Add("tags", portfolio.Tags));

    private static Mapping Describe(ServiceManifest service) => new Mapping()
        .Add("kind", service.Kind?.ToString().ToLowerInvariant())
        .Add("path", service.Path == "." ? null : service.Path)
        .Add("runtime", service.Runtime)
        .Add("install", service.Install)
        .Add("build", service.Build)
        .Add("release", service.Release)
        .Add("start", service.Start)
        .Add("output", service.Output)
        .Add("spa", service.Spa)
        .Add("routes", service.Routes)
        .Add("health", service.Health)
        .Add("size", service.Size?.Name)
        .Add("port", service.Port)
        .Add("scale", service.Scale is null ? null : Describe(service.Scale))
        .Add("env", service.Environment.Aggregate(new Mapping(), (all, pair) => all.Add(pair.Key, pair.Value)))
        .Add("volumes", service.Volumes.Select(volume => new Mapping()
            .Add("name", volume.Name)
            .Add("path", volume.Path)
            .Add("size", ByteSize.Format(volume.Bytes))))
        .Add("schedule", service.Schedule);

    private static Mapping Describe(ScaleManifest scale) => new Mapping()
        .Add("min", scale.Min)
        .Add("max", scale.Max)
        .Add("concurrency", scale.Concurrency)
        .Add("cpu", scale.Cpu)
        .Add("memory", scale.Memory)
        .Add("idle", scale.Idle is { } idle ? Duration.Format(idle) : null);

    private static void Emit(Emitter emitter, object value)
    {
        switch (value)
        {
            case Mapping mapping:
                emitter.Emit(new MappingStart(null, null, true, mapping.Pairs.Count == 0 ? MappingStyle.Flow : MappingStyle.Block));
                foreach (var (key, child) in mapping.Pairs)
                {
                    Emit(emitter, key);
                    Emit(emitter, child);
                }

                emitter.Emit(new MappingEnd());
                break;
            case IReadOnlyList<object> list:
                emitter.Emit(new SequenceStart(null, null, true, list[0] is Mapping ? SequenceStyle.Block : SequenceStyle.Flow));
                foreach (var item in list)
                    Emit(emitter, item);
                emitter.Emit(new SequenceEnd());
                break;
            case string text:
                emitter.Emit(new Scalar(null, null, text, StyleOf(text), true, true));
                break;
            default:
                var plain = value is bool flag ? flag ? "true" : "false" : ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture);
                emitter.Emit(new Scalar(null, null, plain, ScalarStyle.Plain, true, false));
                break;
        }
    }

    /// <summary>Text that any YAML reader might take for something else is quoted.</summary>
    private static ScalarStyle StyleOf(string text) => NotPlain().IsMatch(text) ? ScalarStyle.DoubleQuoted : ScalarStyle.Any;

    [GeneratedRegex(@"^$|^(~|null|true|false|yes|no|on|off|y|n)$|^[-+.]?[0-9][0-9_.,:xoa-f+-]*$|^[-+]?\.(inf|nan)$|(?-i:[\u0000-\u001F\u007F-\uFFFF])|^\s|\s$", RegexOptions.IgnoreCase)]
    private static partial Regex NotPlain();

    private sealed class Mapping
    {
        public List<(string Key, object Value)> Pairs { get; } = [];

        public Mapping Add(string key, object? value)
        {
            if (value is IEnumerable<object> items)
                value = items.ToList() is { Count: > 0 } list ? list : null;
            if (value is not null and not Mapping { Pairs.Count: 0 })
                Pairs.Add((key, value));
            return this;
        }

        public Mapping Add(string key, Mapping value, bool keepEmpty)
        {
            if (keepEmpty)
                Pairs.Add((key, value));
            return this;
        }
    }
}

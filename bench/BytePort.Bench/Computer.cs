using System.Globalization;
using System.Runtime.InteropServices;

namespace BytePort.Bench;

/// <summary>What the figures were measured on.</summary>
internal static class Computer
{
    public static string Describe()
    {
        var processor = Field("/proc/cpuinfo", "model name");
        var memory = long.Parse(Field("/proc/meminfo", "MemTotal").Split(' ')[0], CultureInfo.InvariantCulture) * 1024 / 1e9;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{processor}, {Environment.ProcessorCount} cores, {memory:0} GB, {RuntimeInformation.OSDescription}, .NET {Environment.Version}, {(File.Exists("/dev/kvm") ? "with" : "without")} /dev/kvm, {DateTime.UtcNow:yyyy-MM-dd}.");
    }

    private static string Field(string file, string name) =>
        File.ReadLines(file).First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(':', 2)[1].Trim();
}

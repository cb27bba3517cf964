using System.Globalization;
using NanoVms.Machines;

namespace BytePort.Bench.Machines;

/// <summary>A hypervisor's process as the kernel counts it.</summary>
internal sealed record Hypervisor(int Id)
{
    private const int TicksPerSecond = 100;

    public TimeSpan ProcessorTime
    {
        get
        {
            // proc(5): user and system time are the fields 14 and 15; the name before them may hold spaces.
            var stat = File.ReadAllText($"/proc/{Id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return TimeSpan.FromSeconds((long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / (double)TicksPerSecond);
        }
    }

    /// <summary>Its share of memory (PSS): pages that n processes have count for 1/n.</summary>
    public double Megabytes
    {
        get
        {
            var line = File.ReadLines($"/proc/{Id}/smaps_rollup").First(l => l.StartsWith("Pss:", StringComparison.Ordinal));
            return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1_000_000;
        }
    }

    public static Hypervisor Of(Machine machine) => new(Directory.EnumerateDirectories("/proc")
        .Where(path => int.TryParse(Path.GetFileName(path), out _) && Arguments(path).Contains($".{machine.Id},process=", StringComparison.Ordinal))
        .Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture))
        .First());

    private static string Arguments(string process)
    {
        try
        {
            return File.ReadAllText(process + "/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }
}

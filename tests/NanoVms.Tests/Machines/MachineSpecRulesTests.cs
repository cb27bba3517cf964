using Microsoft.Extensions.Logging.Abstractions;
using NanoVms.Drivers;
using NanoVms.Machines;

namespace NanoVms.Tests.Machines;

public sealed class MachineSpecRulesTests : IDisposable
{
    private static MachineDrivers Drivers() => new(HostMode.Root, "/nowhere", TimeSpan.FromSeconds(1), NullLoggerFactory.Instance, TimeProvider.System);

    private readonly string _folder = Directory.CreateTempSubdirectory("nanovms-spec-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Find_Defaults_NothingIsWrong() => Assert.Empty(MachineSpecRules.Find(new MachineSpec { Name = "app" }));

    [Fact]
    public void Check_ManyBreaches_NamesAllAtOnce()
    {
        var noLayer = Path.Combine(_folder, "a.erofs");
        File.WriteAllText(noLayer, "not an image");
        var spec = new MachineSpec
        {
            Name = "No Good",
            Cpus = 0,
            CpuLimit = double.NaN,
            MemoryMiB = 5,
            DiskBytes = 1,
            Driver = "magic",
            Layers = [noLayer, Path.Combine(_folder, "missing"), "relative"],
            Drives = [new DriveSpec("data", "/nowhere", false), new DriveSpec("data", "/nowhere", false)],
            Hosts = new Dictionary<string, string> { ["db"] = "::1" },
        };
        var message = Assert.Throws<MachineException>(() => MachineSpecRules.Check(spec, Drivers())).Message;
        foreach (var part in new[]
        {
            "Name 'No Good'", "Cpus is 0", "CpuLimit is NaN", "MemoryMiB is 5", "DiskBytes is 1", "Driver 'magic'", "is not an EROFS image",
            "missing' cannot be read", "'relative' is not an absolute path", "Drive 'data' has no file", "Drive 'data' is there more than once", "Host 'db'",
        })
        {
            Assert.Contains(part, message, StringComparison.Ordinal);
        }
    }
}

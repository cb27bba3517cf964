using System.Text;
using System.Text.RegularExpressions;
using BytePort.Manifest.Hac;

namespace BytePort.Manifest.Tests.Hac;

public sealed partial class HacReaderTests
{
    [Fact]
    public void Read_WholeFile_FillsTheRecord()
    {
        var file = Read("""
            [spacecore]
            name = "shop-1"
            description = "Shop"
            [hardware]
            cores = 4
            memory = 2048
            kernel = "/srv/kernels/vmlinux"
            drive = "20GiB"
            ref = "docker.io/library/alpine:3.20"
            interface = ["default", "back-2"]
            """);

        Assert.Equal(("shop-1", "Shop", 4u, 2048, "/srv/kernels/vmlinux"), (file.Name, file.Description, file.Cores, file.MemoryMiB, file.Kernel));
        Assert.Equal(20L << 30, file.DriveBytes);
        Assert.Equal(new ImageReference("docker.io/library/alpine:3.20", false), file.Ref);
        Assert.Equal(["default", "back-2"], file.Interfaces);
    }

    [Fact]
    public void Read_LeastFile_HasTheDefaultsOfTheReference()
    {
        var file = Read("spacecore.name = 'a'\nhardware.ref = 'node@22'");

        Assert.Equal((1u, 256, "default", 10L << 30), (file.Cores, file.MemoryMiB, file.Kernel, file.DriveBytes));
        Assert.Equal(new ImageReference("node@22", true), file.Ref);
        Assert.Equal(["default"], file.Interfaces);
        Assert.Null(file.Description);
    }

    [Theory]
    [InlineData("64", 64)]
    [InlineData("'512M'", 512)]
    [InlineData("'512mib'", 512)]
    [InlineData("'65536K'", 64)]
    [InlineData("'2G'", 2048)]
    [InlineData("'1T'", 1 << 20)]
    [InlineData("0x100", 256)]
    public void Read_Memory_IsInMiB(string memory, int expected) =>
        Assert.Equal(expected, Read($"spacecore.name = 'a'\nhardware = {{ ref = 'base', memory = {memory} }}").MemoryMiB);

    [Theory]
    [InlineData("'none'", "")]
    [InlineData("[]", "")]
    [InlineData("'back'", "back")]
    [InlineData("['back', 'front']", "back front")]
    public void Read_Interface_IsAListOfNetworks(string value, string expected) =>
        Assert.Equal(expected, string.Join(' ', Read($"spacecore.name = 'a'\nhardware = {{ ref = 'base', interface = {value} }}").Interfaces));

    [Theory]
    [InlineData("['default', 'back']", "'default'", "whose router is the host")]
    [InlineData("['default', 'back']", "'front'", "which \"interface\" does not")]
    [InlineData("'back'", "['back']", "has one network")]
    public void Read_WrongRouter_SaysWhat(string networks, string router, string expected) =>
        Assert.Contains(expected, string.Join('\n', Errors($"spacecore.name = 'a'\nhardware = {{ ref = 'base', interface = {networks}, router = {router} }}")), StringComparison.Ordinal);

    [Fact]
    public void Read_Limits_HaveTheUnitsOfNetworksAndOfDisks()
    {
        var file = Read("""
            spacecore.name = "a"
            hardware = { ref = "base", nested_virtualization = true }
            [limits]
            receive_bits = "100M"
            send_bits = 64_000
            read_bytes = "50M"
            write_bytes = 65536
            read_operations = 1000
            write_operations = "10"
            """);

        Assert.True(file.NestedVirtualization);
        Assert.Equal(new MachineLimits { ReceiveBits = 100_000_000, SendBits = 64_000, ReadBytes = 50 << 20, WriteBytes = 65536, ReadOperations = 1000, WriteOperations = 10 }, file.Limits);
        Assert.Equal(new MachineLimits { SendBits = 2_000_000_000 }, Read("spacecore.name = 'a'\nhardware.ref = 'base'\nlimits.send_bits = '2Gbit'").Limits);
    }

    [Fact]
    public void Read_WrongLimits_ReportsAllOfThem() => Assert.Equal(
        [
            "hac.toml:3:34: hardware.nested_virtualization must be true or false, not \"yes\".",
            "hac.toml:5:16: limits.receive_bits must be bits a second from 64000 to 100G, such as \"100M\" for 100,000,000, not 63999.",
            "hac.toml:6:13: limits.send_bits must be bits a second from 64000 to 100G, such as \"100M\" for 100,000,000, not \"101G\".",
            "hac.toml:7:14: limits.read_bytes must be bytes a second from 64K to 1T, such as \"50M\" for 50 MiB, not \"63K\".",
            "hac.toml:8:15: limits.write_bytes must be bytes a second from 64K to 1T, such as \"50M\" for 50 MiB, not 0.5.",
            "hac.toml:9:19: limits.read_operations must be a whole number from 10 to 10000000, not \"1K\".",
            "hac.toml:10:1: Unknown key \"write_operation\" in [limits]. Did you mean \"write_operations\"?",
        ],
        Errors("""
            spacecore.name = "a"
            hardware.ref = "base"
            hardware.nested_virtualization = "yes"
            [limits]
            receive_bits = 63999
            send_bits = "101G"
            read_bytes = "63K"
            write_bytes = 0.5
            read_operations = "1K"
            write_operation = 9
            """));

    [Fact]
    public void Limits_OrAndWithin_TakeEachByItself()
    {
        var asked = new MachineLimits { SendBits = 5_000_000, ReadBytes = 1 << 20 };
        var most = new MachineLimits { ReceiveBits = 1_000_000, SendBits = 1_000_000 };

        Assert.Equal(new MachineLimits { ReceiveBits = 1_000_000, SendBits = 5_000_000, ReadBytes = 1 << 20 }, asked.Or(most));
        Assert.Equal(new MachineLimits { ReceiveBits = 1_000_000, SendBits = 1_000_000, ReadBytes = 1 << 20 }, asked.Within(most));
    }

    [Theory]
    [InlineData("send_bits", "'send_bits' is not NAME=VALUE, such as send_bits=100M.")]
    [InlineData("speed=1", "'speed' is no limit; choose one of receive_bits, send_bits, read_bytes, write_bytes, read_operations, write_operations.")]
    [InlineData("read_bytes=1K", "read_bytes must be bytes a second from 64K to 1T, such as \"50M\" for 50 MiB, not '1K'.")]
    [InlineData("read_bytes=64K read_bytes=64K", "read_bytes is there twice.")]
    public void Limits_WrongText_SaysWhat(string texts, string expected)
    {
        _ = MachineLimit.ReadAll(texts.Split(' '), out var error);
        Assert.Equal(expected, error);
    }

    [Fact]
    public void Read_EveryKeyWrong_ReportsAllOfThem()
    {
        var errors = Errors("""
            title = 1
            [spacecore]
            name = "Shop"
            descripton = "x"
            description = false
            [hardware]
            cores = 0
            memory = 63
            kernel = "../vmlinux"
            drive = "1.5G"
            ref = "Node 22"
            interface = ["default", "default", 3, "none"]
            """);

        Assert.Equal(
            [
                "hac.toml:1:1: Unknown key \"title\". Known tables: spacecore, hardware, limits, template.",
                "hac.toml:3:8: spacecore.name must be 1 to 60 of a-z, 0-9 and -, not \"Shop\".",
                "hac.toml:4:1: Unknown key \"descripton\" in [spacecore]. Did you mean \"description\"?",
                "hac.toml:5:15: spacecore.description must be a text of at most 1000 characters, not false.",
                "hac.toml:7:9: hardware.cores must be a whole number from 1 to 64, not 0.",
                "hac.toml:8:10: hardware.memory must be whole MiB from 64 (such as 512) to 1 TiB, or a size such as \"512M\" or \"2G\", not 63.",
                "hac.toml:9:10: hardware.kernel must be \"default\" or an absolute path without . and .. in it, not \"../vmlinux\".",
                "hac.toml:10:9: hardware.drive must be MiB from 16 (such as 10240) to 16 TiB, or a size such as \"10G\", not \"1.5G\".",
                "hac.toml:11:7: hardware.ref must be a stack such as \"node@22\" or an image such as \"docker.io/library/alpine:3.20\", not \"Node 22\".",
                "hac.toml:12:25: hardware.interface lists \"default\" twice. Remove one of them.",
                "hac.toml:12:36: hardware.interface must be a network's name: 1 to 39 of a-z, 0-9 and -, a letter first, not 3.",
                "hac.toml:12:39: hardware.interface lists \"none\" among networks. Write interface = \"none\" for a machine without a network.",
            ],
            errors);
    }

    [Fact]
    public void Read_AllExtras_FillTheRecord()
    {
        var file = Read("""
            spacecore.name = "a"
            [hardware]
            os = "debian-12"
            driver = "qemu"
            machine = "q35"
            persistent = true
            ports = ["8081:80", "9000:9000"]
            pci = ["0000:01:00.0"]
            pci_kind = "vga"
            [template]
            data = "/srv/data"
            script_seconds = 5
            modes = { "etc/key.pem" = "600", "usr/local/bin/su" = "4755" }
            """);

        Assert.Null(file.Ref);
        Assert.Equal(("debian-12", "qemu", "q35", true), (file.Os, file.Driver, file.MachineType, file.IsPersistent));
        Assert.Equal("8081:80 9000:9000", string.Join(' ', file.Ports.Select(pair => $"{pair.Key}:{pair.Value}")));
        Assert.Equal(("0000:01:00.0", "vga"), (Assert.Single(file.PciDevices), Assert.Single(file.PciKinds)));
        Assert.Equal(("/srv/data", 5), (file.Template.Data, file.Template.ScriptSeconds));
        Assert.Equal((0b110_000_000, 0b100_111_101_101), (file.Template.Modes["etc/key.pem"], file.Template.Modes["usr/local/bin/su"]));
    }

    [Fact]
    public void Read_ExtrasWrong_ReportsAllOfThem() => Assert.Equal(
        [
            "hac.toml:3:7: hardware.ref must be a stack such as \"node@22\" or an image such as \"docker.io/library/alpine:3.20\", not \"B a d\".",
            "hac.toml:4:1: [hardware] has both \"ref\" and \"os\". Remove one of them: each says what the root is made of.",
            "hac.toml:4:6: hardware.os must be an operating system of the catalogue such as \"debian-12\"; 'byteport machine os ls' lists them, not \"../etc\".",
            "hac.toml:5:10: hardware.driver must be \"auto\" or a driver's name such as \"qemu\"; 'byteport machine drivers' lists them, not 1.",
            "hac.toml:6:11: hardware.machine must be \"auto\", \"microvm\" or \"q35\", not \"pc\".",
            "hac.toml:7:14: hardware.persistent must be true or false, not \"yes\".",
            "hac.toml:8:10: hardware.ports must be a port of the host and one of the machine such as \"8081:80\", not \"80\".",
            "hac.toml:8:27: hardware.ports has the host's port 8081 twice. Remove one of them.",
            "hac.toml:9:8: hardware.pci must be a list of addresses of PCI devices such as \"0000:01:00.0\"; 'byteport machine pci ls' lists them, not \"01:00.0\".",
            "hac.toml:10:12: hardware.pci_kind must be a list of kinds of PCI devices: a name such as \"vga\", a class such as \"0302\", or vendor and device such as \"10de:1eb8\", not \"gpu\".",
            "hac.toml:12:8: template.data must be an absolute path without . and .. in it, and not /, not \"/\".",
            "hac.toml:13:11: template.modes has the path \"../etc\". Write it as it is below config/, such as \"etc/key.pem\".",
            "hac.toml:13:35: template.modes.\"a\" must be permission bits in octal digits such as \"600\", not \"rwx\".",
            "hac.toml:14:18: template.script_seconds must be a whole number from 1 to 3600, not 0.",
        ],
        Errors("""
            spacecore.name = "a"
            [hardware]
            ref = "B a d"
            os = "../etc"
            driver = 1
            machine = "pc"
            persistent = "yes"
            ports = ["80", "8081:80", "8081:81"]
            pci = ["01:00.0"]
            pci_kind = "gpu"
            [template]
            data = "/"
            modes = { "../etc" = "600", "a" = "rwx" }
            script_seconds = 0
            """));

    [Fact]
    public void Read_Empty_NamesWhatIsNeeded() =>
        Assert.Equal(
            [
                "hac.toml:1:1: [spacecore] needs the key \"name\". It is the machine's name, such as \"web-1\".",
                "hac.toml:1:1: [hardware] needs the key \"ref\". It is a stack such as \"node@22\" or an image such as \"docker.io/library/alpine:3.20\"; or write os = \"debian-12\".",
            ],
            Errors(""));

    [Fact]
    public void Read_SectionIsNoTable_SaysHowToWriteOne() =>
        Assert.Equal(
            [
                "hac.toml:1:13: spacecore must be a table. Write [spacecore] on a line of its own.",
                "hac.toml:2:2: [hardware] needs the key \"ref\". It is a stack such as \"node@22\" or an image such as \"docker.io/library/alpine:3.20\"; or write os = \"debian-12\".",
            ],
            Errors("spacecore = 'web'\n[hardware]"));

    [Fact]
    public void Read_NotToml_IsOneErrorWithItsPlace() =>
        Assert.Equal(["hac.toml:2:8: \"web\" is not a value. Write texts in quotes."], Errors("[spacecore]\nname = web\nfoo = 1\n[hardware"));

    [Fact]
    public void Read_TooLarge_SaysSo() => Assert.Contains("larger than 64 KiB", Assert.Single(Errors(new string('#', HacReader.MaxBytes + 1))), StringComparison.Ordinal);

    [Fact]
    public async Task ReadFileAsync_ExampleOfTheReference_IsRight()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "reference", "hac-toml.md"), TestContext.Current.CancellationToken);
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, Example().Match(page).Groups[1].Value, TestContext.Current.CancellationToken);
            var result = await HacReader.ReadFileAsync(path, "hac.toml", TestContext.Current.CancellationToken);

            Assert.Empty(result.Errors);
            Assert.Equal(("shop-api", 2u, 512), (result.File!.Name, result.File.Cores, result.File.MemoryMiB));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static HacFile Read(string text)
    {
        var result = HacReader.Read(Encoding.UTF8.GetBytes(text));
        Assert.Empty(result.Errors);
        return result.File!;
    }

    private static IEnumerable<string> Errors(string text)
    {
        var result = HacReader.Read(Encoding.UTF8.GetBytes(text));
        Assert.Null(result.File);
        return result.Errors.Select(error => error.ToString());
    }

    [GeneratedRegex("```toml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();
}

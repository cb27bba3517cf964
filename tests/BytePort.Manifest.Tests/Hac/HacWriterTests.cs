using System.Text;
using BytePort.Manifest.Hac;

namespace BytePort.Manifest.Tests.Hac;

public sealed class HacWriterTests
{
    [Fact]
    public void Write_Least_IsThis() => Assert.Equal(
        """
        [spacecore]
        name = "a"

        [hardware]
        ref = "node@22"
        cores = 1
        memory = "256M"
        drive = "10G"
        interface = "default"

        """.ReplaceLineEndings("\n"),
        HacWriter.Write(new HacFile { Name = "a", Ref = new("node@22", true) }));

    [Fact]
    public void Write_Everything_IsReadAsTheSame()
    {
        var file = new HacFile
        {
            Name = "all-of-it",
            Description = "Quotes \" and \\ and\nlines\tand ünicode 🚀",
            Cores = 8,
            MemoryMiB = 3000,
            DriveBytes = 20L << 20,
            Kernel = "/boot/vmlinux",
            Os = "debian-12",
            Interfaces = ["default", "back"],
            Routes = ["back"],
            Driver = "qemu",
            MachineType = "q35",
            IsPersistent = true,
            Ports = new Dictionary<int, int> { [8081] = 80 },
            PciDevices = ["0000:01:00.0"],
            PciKinds = ["vga", "10de:1eb8"],
            NestedVirtualization = true,
            Limits = new() { ReceiveBits = 100_000_000, SendBits = 64_000, ReadBytes = 64 << 10, WriteBytes = 1L << 40, ReadOperations = 10, WriteOperations = 10_000_000 },
            Template = new() { Data = "/srv/a \"b\"", ScriptSeconds = 7, Modes = new Dictionary<string, int> { ["etc/a b"] = 6, ["etc/x"] = 0b100_111_101_101 } },
        };
        var text = HacWriter.Write(file);
        var result = HacReader.Read(Encoding.UTF8.GetBytes(text));

        Assert.Empty(result.Errors);
        Assert.Equal(text, HacWriter.Write(result.File!));
        Assert.Equal((file.Name, file.Description, file.MemoryMiB, file.DriveBytes, file.Os), (result.File!.Name, result.File.Description, result.File.MemoryMiB, result.File.DriveBytes, result.File.Os));
        Assert.Equal(file.Template.Modes, result.File.Template.Modes);
        Assert.Equal((file.Limits, true), (result.File.Limits, result.File.NestedVirtualization));
        Assert.Equal(file.Routes, result.File.Routes);
    }
}

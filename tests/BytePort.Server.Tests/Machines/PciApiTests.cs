using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using BytePort.Server.Tests.Platform;

namespace BytePort.Server.Tests.Machines;

/// <summary>The computer of the tests has no IOMMU group to give away, so what is seen here is who may ask, and the refusal.</summary>
public sealed class PciApiTests(TestPlatform platform)
{
    [Fact]
    public async Task List_Administrator_SeesThemAndOthersDoNot()
    {
        var devices = (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines/pci"))!["items"]!.AsArray();
        if (Directory.Exists("/sys/bus/pci/devices"))
            Assert.Equal(Directory.EnumerateFileSystemEntries("/sys/bus/pci/devices").Count(), devices.Count);

        using var other = await platform.AnotherTeamAsync();
        using var listed = await other.GetAsync("/api/v1/machines/pci");
        Assert.Equal((HttpStatusCode.Forbidden, "machine_forbidden"), (listed.StatusCode, (string?)(await listed.Content.ReadFromJsonAsync<JsonNode>())!["code"]));
        using var spawned = await other.PostAsJsonAsync("/api/v1/machines", new { name = "a", @ref = "base", pciKinds = new[] { "vga" } });
        Assert.Equal(HttpStatusCode.Forbidden, spawned.StatusCode);
    }

    [Theory]
    [InlineData("""{ "pciDevices": ["ffff:00:00.0"] }""", "There is no PCI device ffff:00:00.0.")]
    [InlineData("""{ "pciDevices": ["ffff:00:00.0"], "driver": "container" }""", "Driver 'container' gives no PCI devices to machines; choose driver 'qemu'.")]
    [InlineData("""{ "pciDevices": ["ffff:00:00.0"], "machineType": "microvm" }""", "A microvm has no PCI; choose the type q35, or leave it out.")]
    [InlineData("""{ "pciKinds": ["gpu"] }""", "'gpu' is no kind of PCI devices")]
    public async Task Spawn_WhatCannotBeHad_SaysWhy(string body, string reason)
    {
        var request = JsonNode.Parse(body)!;
        (request["name"], request["ref"]) = ("a", "base");
        using var response = await platform.Http.PostAsJsonAsync("/api/v1/machines", request);

        Assert.Contains(reason, (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
        Assert.DoesNotContain((await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines"))!["items"]!.AsArray(), machine => (string?)machine!["name"] == "a");
    }

    [Fact]
    public async Task Spawn_DeviceWithoutIommu_IsRefusedAndKeepsItsDriver()
    {
        var device = (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines/pci"))!["items"]!.AsArray()
            .FirstOrDefault(item => item!["iommuGroup"] is null && !((string)item["class"]!).StartsWith("06", StringComparison.Ordinal));
        if (device is null)
            return;
        using var response = await platform.Http.PostAsJsonAsync("/api/v1/machines", new { name = "a", @ref = "base", pciDevices = new[] { (string)device["address"]! } });

        Assert.Contains("has no IOMMU group: this computer has no IOMMU, or it is off.", (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["detail"], StringComparison.Ordinal);
        var after = (await platform.Http.GetFromJsonAsync<JsonNode>("/api/v1/machines/pci"))!["items"]!.AsArray().Single(item => (string)item!["address"]! == (string)device["address"]!);
        Assert.Equal(((string?)device["driver"], null), ((string?)after!["driver"], (string?)after["machine"]));
    }
}

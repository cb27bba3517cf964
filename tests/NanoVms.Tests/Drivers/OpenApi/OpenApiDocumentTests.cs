using System.Text.Json;

namespace NanoVms.Tests.Drivers.OpenApi;

/// <summary>The fakes are as strict as the hypervisors' documents.</summary>
public sealed class OpenApiDocumentTests
{
    private static readonly OpenApiDocument Firecracker = OpenApiDocument.Load("Firecracker/firecracker.yaml");
    private static readonly OpenApiDocument CloudHypervisor = OpenApiDocument.Load("CloudHypervisor/cloud-hypervisor.yaml");

    [Theory]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":128}""", null)]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":33,"mem_size_mib":128}""", "body.vcpu_count is 33, not 1 to 32")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2}""", "body has no 'mem_size_mib'")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2.5,"mem_size_mib":128}""", "body.vcpu_count is no integer")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":128,"mem":1}""", "body has a member 'mem' that is not known")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":128,"smt":"no"}""", "body.smt is no boolean")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":128,"huge_pages":"1G"}""", "body.huge_pages is '1G', none of None, Transparent, 2M")]
    [InlineData("PUT", "/machine-config", "[]", "body is no object")]
    [InlineData("PUT", "/drives/disk", """{"drive_id":"disk","is_root_device":false,"rate_limiter":{"ops":{"size":1}}}""", "body.rate_limiter.ops has no 'refill_time'")]
    [InlineData("PUT", "/actions", null, "a body is required")]
    [InlineData("PUT", "/metrics", """{"metrics_path":"m","properties":{"a":1}}""", "body.properties.a is no string")]
    [InlineData("PUT", "/mmds", """{"anything":{"goes":1}}""", null)]
    [InlineData("GET", "/version", "{}", "no body is expected")]
    public void FindRequestError_Firecracker_IsAsItsDocumentSays(string method, string path, string? body, string? error) =>
        Assert.Equal(error, Firecracker.FindRequestError(Firecracker.Find(method, path)!, Parse(body)));

    [Theory]
    [InlineData("PUT", "/vm.create", """{"payload":{"kernel":"k"},"disks":[{"path":"a"},{"path":1}]}""", "body.disks[1].path is no string")]
    [InlineData("PUT", "/vm.create", """{"payload":{},"vsock":{"cid":2,"socket":"s"}}""", "body.vsock.cid is 2, not 3 to 9223372036854775807")]
    [InlineData("PUT", "/vm.create", """{"payload":{},"disks":[{"image_type":"raw"}]}""", "body.disks[0].image_type is 'raw', none of FixedVhd, Qcow2, Raw, Vhdx, Unknown")]
    [InlineData("PUT", "/vm.create", """{"payload":{},"disks":[{"pci_device_id":256}]}""", "body.disks[0].pci_device_id is 256, not 0 to 255")]
    [InlineData("PUT", "/vm.boot", "{}", "no body is expected")]
    [InlineData("PUT", "/vm.boot", null, null)]
    public void FindRequestError_CloudHypervisor_IsAsItsDocumentSays(string method, string path, string? body, string? error) =>
        Assert.Equal(error, CloudHypervisor.FindRequestError(CloudHypervisor.Find(method, path)!, Parse(body)));

    [Theory]
    [InlineData("GET", "/nothing")]
    [InlineData("PATCH", "/actions")]
    [InlineData("PUT", "/drives/")]
    [InlineData("PUT", "/drives/a/b")]
    public void Find_NotDescribed_IsNull(string method, string path) => Assert.Null(Firecracker.Find(method, path));

    [Fact]
    public void FindResponseError_WrongAnswer_IsNamed()
    {
        var version = Firecracker.Find("GET", "/version")!;
        Assert.Null(Firecracker.FindResponseError(version, 200, Parse("""{"firecracker_version":"1"}""")));
        Assert.Equal("body has no 'firecracker_version'", Firecracker.FindResponseError(version, 200, Parse("{}")));
        Assert.Null(Firecracker.FindResponseError(version, 500, Parse("""{"fault_message":"so"}""")));
        Assert.Equal("status 201 is not described", CloudHypervisor.FindResponseError(CloudHypervisor.Find("PUT", "/vm.boot")!, 201, null));
        Assert.Null(CloudHypervisor.FindResponseError(CloudHypervisor.Find("PUT", "/vm.boot")!, 500, Parse("""["why"]""")));
    }

    private static JsonElement? Parse(string? json) => json is null ? null : JsonDocument.Parse(json).RootElement;
}

using BytePort.Server.Machines;

namespace BytePort.Server.Tests.Machines;

public sealed class MachineLogsTests
{
    [Fact]
    public void KeyOf_Machine_IsItsOwnAndNeverAProjects()
    {
        Assert.Equal(MachineLogs.KeyOf("abc"), MachineLogs.KeyOf("abc"));
        Assert.NotEqual(MachineLogs.KeyOf("abc"), MachineLogs.KeyOf("abd"));
        Assert.Equal((0, 7), (MachineLogs.KeyOf("abc").Version, Guid.CreateVersion7().Version));
    }
}

using NanoVms.Drivers.Vmm;

namespace NanoVms.Drivers.Firecracker;

/// <summary>The files of a snapshot: <c>memory</c>, and <c>state</c> of processors and devices.</summary>
internal static class FirecrackerSnapshot
{
    public const string State = "state";
    public const string Memory = "memory";
    public static readonly SavedFiles Files = new("firecracker.json", [State, Memory]);
}

using System.Text.Json;

namespace NanoVms.Drivers.Qemu;

/// <param name="Name">For example SHUTDOWN, STOP, RESUME.</param>
/// <param name="Data">Its data member, or an undefined element.</param>
internal sealed record QmpEvent(string Name, JsonElement Data)
{
    /// <summary>The text of a member of the data, or null.</summary>
    public string? Text(string member) =>
        Data.ValueKind == JsonValueKind.Object && Data.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}

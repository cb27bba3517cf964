using System.Text.Json;

namespace NanoVms.Drivers.Rest;

/// <summary>In what the HTTP interfaces of hypervisors differ.</summary>
/// <param name="Name">For messages, for example <c>Firecracker</c>.</param>
/// <param name="Prefix">Before every path: empty, or a path without a slash at its end.</param>
/// <param name="ReadFault">The reason in the body of a refusal; null when the body is not of the shape that is documented.</param>
internal sealed record RestDialect(string Name, string Prefix, Func<JsonElement, string?> ReadFault);

namespace NanoVms.Agent.Protocol;

/// <summary>The other end sent bytes that are not the protocol.</summary>
internal sealed class ProtocolException(string message) : Exception(message);

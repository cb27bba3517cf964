namespace BytePort.Server.Hosting;

/// <summary>The server cannot start; the message says why and what to do, and is all that a person sees.</summary>
internal sealed class StartException(string message) : Exception(message);

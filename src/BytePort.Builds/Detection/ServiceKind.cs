namespace BytePort.Builds.Detection;

public enum ServiceKind
{
    Static = 0,
    Web,
    Worker,
}

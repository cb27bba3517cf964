namespace BytePort.Builds.Detection;

/// <summary>Finds out what a source tree is: byteport.yaml first, gaps filled from the files.</summary>
public static class Detector
{
    /// <exception cref="DetectionException">The manifest is wrong, or nothing known was found.</exception>
    public static ProjectPlan Detect(string directory) => throw new NotSupportedException(directory);
}

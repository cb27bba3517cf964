namespace NanoVms.Machines;

/// <summary>A limit that a process starts with and cannot raise past <paramref name="Hard"/>.</summary>
/// <param name="Soft">What counts; <see cref="Unlimited"/> for none. No more than <paramref name="Hard"/>.</param>
/// <param name="Hard">How far the process itself may raise it.</param>
public sealed record ResourceLimit(ResourceKind Kind, ulong Soft, ulong Hard)
{
    public const ulong Unlimited = ulong.MaxValue;
}

using System.Runtime.InteropServices;

namespace NanoVms.Agent.Interop;

/// <summary>Why a system call failed, in words.</summary>
internal static class Errno
{
    public const int ENOENT = 2;
    public const int EINTR = 4;
    public const int E2BIG = 7;
    public const int ENOEXEC = 8;
    public const int EAGAIN = 11;
    public const int EACCES = 13;
    public const int EEXIST = 17;
    public const int ENOTDIR = 20;
    public const int ELOOP = 40;

    public static int Last => Marshal.GetLastPInvokeError();

    public static string Describe(int number) => number switch
    {
        1 => "operation not permitted",
        ENOENT => "no such file or directory",
        5 => "input/output error",
        E2BIG => "arguments and environment are too long",
        ENOEXEC => "not a program this machine can run",
        EAGAIN => "no process or memory left for it",
        12 => "out of memory",
        EACCES => "permission denied",
        16 => "busy",
        EEXIST => "exists already",
        19 => "no such device or file system",
        ENOTDIR => "not a directory",
        21 => "is a directory",
        22 => "invalid argument",
        24 => "too many open files",
        28 => "no space left",
        30 => "read-only file system",
        39 => "folder not empty",
        ELOOP => "too many symbolic links",
        _ => "error " + number.ToString(),
    };
}

using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace NanoVms.Drivers.Container;

/// <summary>
/// The system calls that programs in containers may use, by name; all others fail. Left out is what changes the system (mounts, modules,
/// clocks, swap, namespaces), what opens wide parts of the kernel that programs do without (bpf, io_uring, userfaultfd, performance events,
/// key rings, foreign sockets), and what is obsolete.
/// </summary>
internal static class SystemCalls
{
    private const int NotPermitted = 1;
    private const int NotImplemented = 38;

    /// <summary>CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME.</summary>
    private const long NamespaceFlags = 0x7E020080;

    /// <summary>Unix, IPv4, IPv6, netlink. Netlink is how programs list network cards; without capabilities it changes nothing.</summary>
    private static readonly int[] SocketFamilies = [1, 2, 10, 16];

    /// <summary>What personality(2) may set: Linux, without and with fixed addresses for debuggers, and the question what is set.</summary>
    private static readonly long[] Personalities = [0, 0x40000, 0xFFFFFFFF];

    private const string Allowed =
        """
        accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres clock_gettime
        clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait
        epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod
        fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync
        ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_robust_list getcpu getcwd getdents getdents64 getegid
        geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
        getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1
        inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set kill
        landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen listxattr llistxattr
        lremovexattr lseek lsetxattr lstat madvise map_shadow_stack membarrier memfd_create mincore mkdir mkdirat mknod mknodat mlock
        mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget
        msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_getfd
        pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64
        process_madvise process_mrelease process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev pwritev2 read readahead readlink
        readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall
        rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
        sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
        sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget
        semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setitimer
        setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget
        shutdown sigaltstack signalfd signalfd4 socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo
        tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
        timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write writev
        """;

    public static IReadOnlyList<string> Names { get; } = Allowed.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The <c>linux.seccomp</c> of an OCI configuration.</summary>
    public static JsonObject Profile()
    {
        var rules = new JsonArray { Rule(Names) };
        foreach (var family in SocketFamilies)
            rules.Add((JsonNode)Rule(["socket"], Argument(0, family, "SCMP_CMP_EQ")));
        foreach (var personality in Personalities)
            rules.Add((JsonNode)Rule(["personality"], Argument(0, personality, "SCMP_CMP_EQ")));
        rules.Add((JsonNode)Rule(["clone"], Argument(0, NamespaceFlags, "SCMP_CMP_MASKED_EQ", 0)));
        // Its flags lie in memory, which no filter can read; libraries fall back to clone.
        rules.Add((JsonNode)new JsonObject { ["names"] = new JsonArray("clone3"), ["action"] = "SCMP_ACT_ERRNO", ["errnoRet"] = NotImplemented });
        return new JsonObject
        {
            ["defaultAction"] = "SCMP_ACT_ERRNO",
            ["defaultErrnoRet"] = NotPermitted,
            ["architectures"] = new JsonArray(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"),
            ["syscalls"] = rules,
        };
    }

    private static JsonObject Rule(IEnumerable<string> names, JsonObject? argument = null)
    {
        var rule = new JsonObject { ["names"] = new JsonArray([.. names.Select(name => (JsonNode)name)]), ["action"] = "SCMP_ACT_ALLOW" };
        if (argument is not null)
            rule["args"] = new JsonArray(argument);
        return rule;
    }

    private static JsonObject Argument(int index, long value, string comparison, long? other = null)
    {
        var argument = new JsonObject { ["index"] = index, ["value"] = value, ["op"] = comparison };
        if (other is { } second)
            argument["valueTwo"] = second;
        return argument;
    }
}

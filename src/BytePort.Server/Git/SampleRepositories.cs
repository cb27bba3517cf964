using BytePort.Server.Hosting;
using NanoVms.Commands;

namespace BytePort.Server.Git;

/// <summary>Keeps a bare repository for each folder of the samples, so that samples deploy exactly as a user's repository does.</summary>
internal sealed class SampleRepositories(ServerOptions options)
{
    private const string Branch = "main";

    /// <summary>Holds the repositories as <c>NAME.git</c>.</summary>
    public string Root => options.InData("git", "samples");

    /// <summary>Brings every repository to what its folder holds now.</summary>
    public async Task UpdateAsync(CancellationToken cancellationToken)
    {
        if (options.SamplesFolder is null)
        {
            return;
        }

        if (!Directory.Exists(options.SamplesFolder))
        {
            throw new StartException($"--samples {options.SamplesFolder}: there is no such folder.");
        }

        foreach (var folder in Directory.GetDirectories(options.SamplesFolder))
        {
            await UpdateAsync(folder, Path.Combine(Root, Path.GetFileName(folder) + ".git"), cancellationToken);
        }
    }

    private static async Task UpdateAsync(string folder, string repository, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(repository, "HEAD")))
        {
            Directory.CreateDirectory(repository);
            await GitAsync(["init", "--quiet", "--bare", "--initial-branch", Branch, repository], cancellationToken);
        }

        // A start that was killed may have left the index locked; nobody else writes here.
        File.Delete(Path.Combine(repository, "index.lock"));
        List<string> at = ["--git-dir", repository, "--work-tree", folder];
        await GitAsync([.. at, "add", "--all", "--", "."], cancellationToken, folder);
        var tree = (await GitAsync([.. at, "write-tree"], cancellationToken)).Trim();
        var head = await CommandRunner.RunAsync(Command([.. at, "rev-parse", "--quiet", "--verify", Branch + "^{tree}"]), cancellationToken);
        if (head.ExitCode != 0 || head.StandardOutput.Trim() != tree)
        {
            var commit = (await GitAsync([.. at, "commit-tree", tree, "-m", "Sample as it came with this version of BytePort"], cancellationToken)).Trim();
            await GitAsync([.. at, "update-ref", "refs/heads/" + Branch, commit], cancellationToken);
        }
    }

    private static async Task<string> GitAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken, string? workingDirectory = null)
        => (await CommandRunner.RunCheckedAsync(Command(arguments, workingDirectory), cancellationToken)).StandardOutput;

    private static Command Command(IReadOnlyList<string> arguments, string? workingDirectory = null) => new("git", arguments)
    {
        WorkingDirectory = workingDirectory ?? "/",
        Environment = new Dictionary<string, string>
        {
            ["GIT_CONFIG_NOSYSTEM"] = "1",
            ["GIT_CONFIG_GLOBAL"] = "/dev/null",
            ["GIT_AUTHOR_NAME"] = "BytePort",
            ["GIT_AUTHOR_EMAIL"] = "samples@byteport.invalid",
            ["GIT_COMMITTER_NAME"] = "BytePort",
            ["GIT_COMMITTER_EMAIL"] = "samples@byteport.invalid",
        },
    };
}

using NanoVms.Commands;
using NanoVms.Drivers.Isolation;

namespace NanoVms.Tests.Drivers.Isolation;

public sealed class JailTests
{
    /// <summary>A program that is being started holds for a moment what this process has open, in the mounts of a jail too.</summary>
    [Fact]
    public async Task StartAsync_BesideOtherPrograms_NeverFails()
    {
        using var ended = new CancellationTokenSource();
        var others = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            while (!ended.IsCancellationRequested)
                await CommandRunner.RunCheckedAsync(new Command("/bin/true"), CancellationToken.None);
        })).ToList();
        try
        {
            await Parallel.ForAsync(0, 60, new ParallelOptions { MaxDegreeOfParallelism = 3, CancellationToken = TestContext.Current.CancellationToken }, async (_, _) =>
            {
                using var errors = new ErrorTail();
                var process = await Jail.StartAsync(new JailPlan(["/bin/sleep"], []), new Command("/bin/sleep", "0.1"), [], errors.ProgramsEnd);
                await ProcessEnd.WaitAsync(process, TestContext.Current.CancellationToken);
                _ = process.Reap();
            });
        }
        finally
        {
            await ended.CancelAsync();
            await Task.WhenAll(others);
        }
    }
}

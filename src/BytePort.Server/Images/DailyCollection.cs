using BytePort.Server.Hosting;
using NanoVms.Images;
using Npgsql;

namespace BytePort.Server.Images;

/// <summary>
/// At the start clears away what a crash left half made and says what is wrong with recipes; then collects once a day what nothing
/// needs, unless that is turned off.
/// </summary>
internal sealed class DailyCollection(ImageService service, ImageStore images, ServerOptions options, TimeProvider time, ILogger<DailyCollection> logger) : BackgroundService
{
    private static readonly TimeSpan First = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan Period = TimeSpan.FromDays(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        foreach (var problem in images.FindRecipeProblems())
            Log.RecipeRefused(logger, problem);
        await TryAsync(async () =>
        {
            await images.RepairAsync(stoppingToken);
            await service.TellNeedsAsync(stoppingToken);
        });
        if (options.CollectAfter is not { } olderThan)
            return;
        // A start is busy enough; and who only looks in for a moment needs no collection.
        for (var wait = First; !stoppingToken.IsCancellationRequested; wait = Period)
        {
            await Task.Delay(wait, time, stoppingToken);
            await TryAsync(() => service.CollectAsync(olderThan, dryRun: false, stoppingToken));
        }
    }

    private async Task TryAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e) when (e is ImageException or IOException or UnauthorizedAccessException or NpgsqlException or NanoVms.Commands.CommandException)
        {
            Log.CollectionFailed(logger, e.Message);
        }
    }
}

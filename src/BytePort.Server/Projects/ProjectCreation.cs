using BytePort.Server.Api;
using BytePort.Server.Database;
using BytePort.Server.Deployments;
using BytePort.Server.Environments;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace BytePort.Server.Projects;

/// <summary>Makes projects; a name is taken once.</summary>
internal sealed class ProjectCreation(IDbContextFactory<PlatformDb> databases, TimeProvider time)
{
    /// <summary>Host labels that are the platform's own.</summary>
    private static readonly HashSet<string> Reserved = new(StringComparer.Ordinal) { "www", "api", "git", "admin", "byteport", "localhost" };

    /// <returns>The team's project of that name, new or not; or what is wrong with the name.</returns>
    public async Task<(Project? Project, ProblemHttpResult? Problem)> FindOrCreateAsync(Guid teamId, string name, CancellationToken cancellationToken)
    {
        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        return await db.FindProjectAsync(teamId, name, cancellationToken) is { } found ? (found, null) : await CreateAsync(teamId, name, cancellationToken);
    }

    public async Task<(Project? Project, ProblemHttpResult? Problem)> CreateAsync(Guid teamId, string? name, CancellationToken cancellationToken)
    {
        if (!Project.IsValidName(name))
        {
            return (null, Problems.Invalid("project_name_invalid", $"'{name}' cannot be a project's name: use lower-case letters, digits and single hyphens, begin with a letter, at most 40 characters."));
        }

        if (Reserved.Contains(name!))
        {
            return (null, Problems.Invalid("project_name_reserved", $"'{name}' is reserved for the platform. Choose another name."));
        }

        await using var db = await databases.CreateDbContextAsync(cancellationToken);
        var project = new Project { TeamId = teamId, Name = name!, CreatedAt = time.GetUtcNow() };
        db.Add(project);
        db.Add(new ProjectEnvironment { ProjectId = project.Id });
        try
        {
            await db.SaveChangesAsync(cancellationToken);
            return (project, null);
        }
        catch (DbUpdateException exception) when (exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            return (null, Problems.Conflict("project_name_taken", $"The name '{name}' is taken. Choose another."));
        }
    }
}

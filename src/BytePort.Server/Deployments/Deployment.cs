using BytePort.Server.Environments;
using BytePort.Server.Projects;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Deployments;

internal enum DeploymentStatus
{
    Queued,
    Building,
    Releasing,
    Live,
    Failed,
    Canceled,
    Superseded,
}

/// <summary>One immutable, numbered attempt: source and outcome. <c>live</c> means it went live; whether it still serves is the
/// environment's pointer.</summary>
internal sealed class Deployment : IEntityTypeConfiguration<Deployment>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid ProjectId { get; set; }

    public Guid EnvironmentId { get; set; }

    public int Number { get; set; }

    public DeploymentStatus Status { get; set; }

    /// <summary>Stable word for the failure (<c>build_failed</c>, …); null unless failed or canceled.</summary>
    public string? Code { get; set; }

    public string? Reason { get; set; }

    public string SourceKind { get; set; } = "";

    public string? SourceUrl { get; set; }

    public string? SourceRef { get; set; }

    public Guid? UploadId { get; set; }

    public string? Commit { get; set; }

    public string? CommitMessage { get; set; }

    public string? SourceDigest { get; set; }

    /// <summary>The services with their artifacts once built (<see cref="DeploymentPlan"/> as JSON).</summary>
    public string? Plan { get; set; }

    public bool CancelRequested { get; set; }

    /// <summary>The node that works on it; free for others once <see cref="LeaseUntil"/> has passed.</summary>
    public string? LeaseOwner { get; set; }

    public DateTimeOffset? LeaseUntil { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset? StartedAt { get; set; }

    public DateTimeOffset? FinishedAt { get; set; }

    public bool IsFinished => Status is DeploymentStatus.Live or DeploymentStatus.Failed or DeploymentStatus.Canceled or DeploymentStatus.Superseded;

    public void Configure(EntityTypeBuilder<Deployment> builder)
    {
        builder.ToTable("deployments");
        builder.Property(d => d.Code).HasMaxLength(60);
        builder.Property(d => d.SourceKind).HasMaxLength(10);
        builder.Property(d => d.Plan).HasColumnType("jsonb");
        builder.Ignore(d => d.IsFinished);
        builder.HasIndex(d => new { d.ProjectId, d.Number }).IsUnique();
        builder.HasIndex(d => d.CreatedAt).HasFilter("status IN ('queued', 'building', 'releasing')");
        // One build per environment at a time, whatever two workers read in the same instant.
        builder.HasIndex(d => d.EnvironmentId).IsUnique().HasFilter("status IN ('building', 'releasing')").HasDatabaseName("ix_deployments_one_active");
        builder.HasOne<Project>().WithMany().HasForeignKey(d => d.ProjectId).OnDelete(DeleteBehavior.Cascade);
        builder.HasOne<ProjectEnvironment>().WithMany().HasForeignKey(d => d.EnvironmentId).OnDelete(DeleteBehavior.Cascade);
    }
}

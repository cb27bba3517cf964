using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Deployments;

internal enum StepStatus
{
    Pending,
    Running,
    Done,
    Failed,
    Canceled,
    Skipped,
}

internal sealed class DeploymentStep : IEntityTypeConfiguration<DeploymentStep>
{
    public Guid DeploymentId { get; set; }

    public string Name { get; set; } = "";

    public int Position { get; set; }

    public StepStatus Status { get; set; }

    public DateTimeOffset? StartedAt { get; set; }

    public DateTimeOffset? FinishedAt { get; set; }

    public string? Reason { get; set; }

    public void Configure(EntityTypeBuilder<DeploymentStep> builder)
    {
        builder.ToTable("deployment_steps");
        builder.HasKey(s => new { s.DeploymentId, s.Name });
        builder.Property(s => s.Name).HasMaxLength(20);
        builder.HasOne<Deployment>().WithMany().HasForeignKey(s => s.DeploymentId).OnDelete(DeleteBehavior.Cascade);
    }
}

/// <summary>One line of a deployment's log. Offsets count from 1 without gaps within a deployment, so a reader resumes by them.</summary>
internal sealed class DeploymentLogLine : IEntityTypeConfiguration<DeploymentLogLine>
{
    public Guid DeploymentId { get; set; }

    public long Offset { get; set; }

    public string Step { get; set; } = "";

    public DateTimeOffset Time { get; set; }

    /// <summary><c>stdout</c>, <c>stderr</c> or <c>platform</c>.</summary>
    public string Stream { get; set; } = "";

    public string Text { get; set; } = "";

    public void Configure(EntityTypeBuilder<DeploymentLogLine> builder)
    {
        builder.ToTable("deployment_log");
        builder.HasKey(l => new { l.DeploymentId, l.Offset });
        builder.Property(l => l.Step).HasMaxLength(20);
        builder.Property(l => l.Stream).HasMaxLength(10);
        builder.HasOne<Deployment>().WithMany().HasForeignKey(l => l.DeploymentId).OnDelete(DeleteBehavior.Cascade);
    }
}

/// <summary>An artifact that an unchanged source with unchanged build settings uses again.</summary>
internal sealed class BuiltArtifact : IEntityTypeConfiguration<BuiltArtifact>
{
    public Guid ProjectId { get; set; }

    /// <summary>Digest over source, plan, variables and builder.</summary>
    public string Key { get; set; } = "";

    public string Artifact { get; set; } = "";

    public DateTimeOffset CreatedAt { get; set; }

    public void Configure(EntityTypeBuilder<BuiltArtifact> builder)
    {
        builder.ToTable("artifacts");
        builder.HasKey(a => new { a.ProjectId, a.Key });
        builder.Property(a => a.Key).HasMaxLength(100);
        builder.Property(a => a.Artifact).HasColumnType("jsonb");
        builder.HasOne<Projects.Project>().WithMany().HasForeignKey(a => a.ProjectId).OnDelete(DeleteBehavior.Cascade);
    }
}

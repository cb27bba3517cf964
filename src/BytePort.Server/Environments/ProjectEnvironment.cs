using BytePort.Server.Deployments;
using BytePort.Server.Projects;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Environments;

/// <summary>What serves under one address: a pointer to a deployment. Switching and rolling back move the pointer.</summary>
internal sealed class ProjectEnvironment : IEntityTypeConfiguration<ProjectEnvironment>
{
    public const string Production = "production";

    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid ProjectId { get; set; }

    public string Name { get; set; } = Production;

    /// <summary>The deployment that serves; null before the first.</summary>
    public Guid? LiveDeploymentId { get; set; }

    /// <summary>The deployment that served before it; where a rollback goes.</summary>
    public Guid? PreviousDeploymentId { get; set; }

    public DateTimeOffset? ActivatedAt { get; set; }

    public void Configure(EntityTypeBuilder<ProjectEnvironment> builder)
    {
        builder.ToTable("environments");
        builder.Property(e => e.Name).HasMaxLength(40);
        builder.HasIndex(e => new { e.ProjectId, e.Name }).IsUnique();
        builder.HasOne<Project>().WithMany().HasForeignKey(e => e.ProjectId).OnDelete(DeleteBehavior.Cascade);
        builder.HasOne<Deployment>().WithMany().HasForeignKey(e => e.LiveDeploymentId).OnDelete(DeleteBehavior.SetNull);
    }
}

using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Environments;

internal enum ActivationStatus
{
    Pending,
    Done,
    Failed,
}

/// <summary>An order to let an earlier deployment serve again: kept until carried out, so that a crash does not lose it.</summary>
internal sealed class Activation : IEntityTypeConfiguration<Activation>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid EnvironmentId { get; set; }

    public Guid DeploymentId { get; set; }

    public ActivationStatus Status { get; set; }

    public string? Reason { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset? FinishedAt { get; set; }

    public void Configure(EntityTypeBuilder<Activation> builder)
    {
        builder.ToTable("activations");
        builder.HasIndex(a => a.DeploymentId);
        builder.HasIndex(a => a.CreatedAt).HasFilter("status = 'pending'");
        builder.HasOne<ProjectEnvironment>().WithMany().HasForeignKey(a => a.EnvironmentId).OnDelete(DeleteBehavior.Cascade);
        builder.HasOne<Deployment>().WithMany().HasForeignKey(a => a.DeploymentId).OnDelete(DeleteBehavior.Cascade);
    }
}

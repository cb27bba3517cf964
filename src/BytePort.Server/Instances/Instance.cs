using BytePort.Server.Deployments;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Instances;

internal enum InstanceState
{
    Starting,
    Healthy,
    Unhealthy,
    Backoff,
    Failed,
    Stopping,
}

/// <summary>One wanted copy of a service of a deployment. The row is the wish; the machine follows it.</summary>
internal sealed class Instance : IEntityTypeConfiguration<Instance>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid DeploymentId { get; set; }

    public Guid ProjectId { get; set; }

    public string Service { get; set; } = "";

    public InstanceState State { get; set; }

    /// <summary>Why it is in this state, for people; null when healthy.</summary>
    public string? Reason { get; set; }

    public string? MachineId { get; set; }

    public int Restarts { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset? HealthyAt { get; set; }

    /// <summary>When the instance may stop: its deployment no longer serves and requests under way get this long.</summary>
    public DateTimeOffset? DrainUntil { get; set; }

    public void Configure(EntityTypeBuilder<Instance> builder)
    {
        builder.ToTable("instances");
        builder.Property(i => i.Service).HasMaxLength(40);
        builder.Property(i => i.MachineId).HasMaxLength(60);
        builder.HasIndex(i => i.DeploymentId);
        // No cascade: rows of a destroyed project stay until their machines are gone.
        builder.HasOne<Deployment>().WithMany().HasForeignKey(i => i.DeploymentId).OnDelete(DeleteBehavior.Restrict);
    }
}

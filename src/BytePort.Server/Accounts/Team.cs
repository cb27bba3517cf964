using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Accounts;

/// <summary>The owner of projects; every query about a project is scoped by one.</summary>
internal sealed class Team : IEntityTypeConfiguration<Team>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    /// <summary>Unique name in addresses, <c>[a-z][a-z0-9-]*</c>.</summary>
    public string Slug { get; set; } = "";

    public DateTimeOffset CreatedAt { get; set; }

    public void Configure(EntityTypeBuilder<Team> builder)
    {
        builder.ToTable("teams");
        builder.Property(t => t.Slug).HasMaxLength(40);
        builder.HasIndex(t => t.Slug).IsUnique();
    }
}

internal enum TeamRole
{
    Viewer,
    Developer,
    Admin,
    Owner,
}

internal sealed class Membership : IEntityTypeConfiguration<Membership>
{
    public Guid TeamId { get; set; }

    public Guid UserId { get; set; }

    public TeamRole Role { get; set; }

    public void Configure(EntityTypeBuilder<Membership> builder)
    {
        builder.ToTable("memberships");
        builder.HasKey(m => new { m.TeamId, m.UserId });
        builder.HasOne<Team>().WithMany().HasForeignKey(m => m.TeamId);
        builder.HasOne<User>().WithMany().HasForeignKey(m => m.UserId);
    }
}

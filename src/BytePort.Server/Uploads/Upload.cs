using BytePort.Server.Accounts;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Uploads;

/// <summary>A one-time, short-lived place to put an archive, bound to the team that asked for it.</summary>
internal sealed class Upload : IEntityTypeConfiguration<Upload>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid TeamId { get; set; }

    public byte[] TokenHash { get; set; } = [];

    public DateTimeOffset ExpiresAt { get; set; }

    /// <summary>When the archive had arrived whole; null while there is none.</summary>
    public DateTimeOffset? ReceivedAt { get; set; }

    public long Size { get; set; }

    public void Configure(EntityTypeBuilder<Upload> builder)
    {
        builder.ToTable("uploads");
        builder.HasOne<Team>().WithMany().HasForeignKey(u => u.TeamId);
    }
}

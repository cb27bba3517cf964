using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Accounts;

internal sealed class User : IEntityTypeConfiguration<User>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public string Name { get; set; } = "";

    public bool IsAdministrator { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public void Configure(EntityTypeBuilder<User> builder)
    {
        builder.ToTable("users");
        builder.Property(u => u.Name).HasMaxLength(100);
    }
}

using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Accounts;

/// <summary>A bearer secret: of a program (<c>Session</c> false) or of a signed-in browser. Only its SHA-256 is kept.</summary>
internal sealed class ApiToken : IEntityTypeConfiguration<ApiToken>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid UserId { get; set; }

    public Guid TeamId { get; set; }

    public string Name { get; set; } = "";

    public byte[] Hash { get; set; } = [];

    public bool Session { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset? ExpiresAt { get; set; }

    public void Configure(EntityTypeBuilder<ApiToken> builder)
    {
        builder.ToTable("api_tokens");
        builder.Property(t => t.Name).HasMaxLength(100);
        builder.HasIndex(t => t.Hash).IsUnique();
        builder.HasOne<User>().WithMany().HasForeignKey(t => t.UserId);
        builder.HasOne<Team>().WithMany().HasForeignKey(t => t.TeamId);
    }
}

/// <summary>A link that signs a browser in once, printed when the server starts.</summary>
internal sealed class SignInLink : IEntityTypeConfiguration<SignInLink>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid UserId { get; set; }

    public Guid TeamId { get; set; }

    public byte[] Hash { get; set; } = [];

    public DateTimeOffset ExpiresAt { get; set; }

    public DateTimeOffset? UsedAt { get; set; }

    public void Configure(EntityTypeBuilder<SignInLink> builder)
    {
        builder.ToTable("sign_in_links");
        builder.HasIndex(t => t.Hash).IsUnique();
        builder.HasOne<User>().WithMany().HasForeignKey(t => t.UserId);
    }
}

/// <summary>Random secrets of 256 bits; being that long they need no slow hash.</summary>
internal static class Secret
{
    public static string Create(string prefix) => prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}

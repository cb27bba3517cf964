using System.Text.RegularExpressions;
using BytePort.Server.Accounts;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace BytePort.Server.Projects;

/// <summary>One repository or upload, one manifest, one address.</summary>
internal sealed partial class Project : IEntityTypeConfiguration<Project>
{
    public Guid Id { get; set; } = Guid.CreateVersion7();

    public Guid TeamId { get; set; }

    /// <summary>Also the host label of its address, so it is unique on the whole platform while there is one app domain.</summary>
    public string Name { get; set; } = "";

    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>Set when the owner destroyed it; the reconciler stops what runs, then the row goes.</summary>
    public DateTimeOffset? DestroyedAt { get; set; }

    /// <summary>Number of the newest deployment; raised under the row's lock.</summary>
    public int LastNumber { get; set; }

    [GeneratedRegex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
    private static partial Regex NamePattern();

    /// <summary>Lower-case letters, digits and single hyphens, from a letter, at most 40 (a DNS label with room for a prefix; no
    /// double hyphen because that separates a deployment number in addresses).</summary>
    public static bool IsValidName(string? name) => name is { Length: >= 1 and <= 40 } && NamePattern().IsMatch(name);

    public void Configure(EntityTypeBuilder<Project> builder)
    {
        builder.ToTable("projects");
        builder.Property(p => p.Name).HasMaxLength(40);
        builder.HasIndex(p => p.Name).IsUnique().HasFilter("destroyed_at IS NULL");
        builder.HasIndex(p => new { p.TeamId, p.Name });
        builder.HasOne<Team>().WithMany().HasForeignKey(p => p.TeamId);
    }
}

using System.Text;
using BytePort.Server.Accounts;
using BytePort.Server.Deployments;
using BytePort.Server.Environments;
using BytePort.Server.Instances;
using BytePort.Server.Projects;
using BytePort.Server.Uploads;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace BytePort.Server.Database;

/// <summary>The platform's state. Each feature maps its own entities; names in the database are snake_case.</summary>
internal sealed class PlatformDb(DbContextOptions<PlatformDb> options) : DbContext(options)
{
    public DbSet<Team> Teams => Set<Team>();

    public DbSet<User> Users => Set<User>();

    public DbSet<Membership> Memberships => Set<Membership>();

    public DbSet<ApiToken> Tokens => Set<ApiToken>();

    public DbSet<SignInLink> SignInLinks => Set<SignInLink>();

    public DbSet<Project> Projects => Set<Project>();

    public DbSet<ProjectEnvironment> Environments => Set<ProjectEnvironment>();

    public DbSet<Activation> Activations => Set<Activation>();

    public DbSet<Deployment> Deployments => Set<Deployment>();

    public DbSet<DeploymentStep> Steps => Set<DeploymentStep>();

    public DbSet<DeploymentLogLine> DeploymentLog => Set<DeploymentLogLine>();

    public DbSet<BuiltArtifact> Artifacts => Set<BuiltArtifact>();

    public DbSet<Upload> Uploads => Set<Upload>();

    public DbSet<Instance> Instances => Set<Instance>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(PlatformDb).Assembly);
        foreach (var entity in modelBuilder.Model.GetEntityTypes())
        {
            foreach (var property in entity.GetProperties())
            {
                property.SetColumnName(SnakeCase(property.Name));
                var type = Nullable.GetUnderlyingType(property.ClrType) ?? property.ClrType;
                if (type.IsEnum)
                {
                    // Enum names are wire and database values: text survives reordering and reads well in psql.
                    property.SetValueConverter((ValueConverter)System.Activator.CreateInstance(typeof(LowerCaseEnum<>).MakeGenericType(type))!);
                    property.SetMaxLength(20);
                }
            }
        }
    }

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (var c in name)
        {
            if (char.IsUpper(c) && text.Length > 0)
            {
                text.Append('_');
            }

            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }

    private sealed class LowerCaseEnum<T>() : ValueConverter<T, string>(
        value => value.ToString().ToLowerInvariant(),
        text => Enum.Parse<T>(text, true))
        where T : struct, Enum;
}

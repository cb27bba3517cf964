using BytePort.Server.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

return 0;

/// <summary>Gives `dotnet ef` the model; no database is asked.</summary>
internal sealed class DesignTimeDb : IDesignTimeDbContextFactory<PlatformDb>
{
    public PlatformDb CreateDbContext(string[] args) => new(new DbContextOptionsBuilder<PlatformDb>().UseNpgsql("Host=/nowhere").Options);
}

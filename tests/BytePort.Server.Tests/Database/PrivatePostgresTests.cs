using BytePort.Server.Database;
using BytePort.Server.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace BytePort.Server.Tests.Database;

public class PrivatePostgresTests
{
    [Fact]
    public async Task Start_InAFolderOnlyRootMayEnterWithALongPath_WorksTwice()
    {
        // Directory.CreateTempSubdirectory makes it 0700: the database's account cannot pass without help.
        var root = Directory.CreateTempSubdirectory("byteport-pg-").FullName;
        var data = Path.Combine(root, new string('d', 90));
        Directory.CreateDirectory(data);
        // What a kill in the middle of the first initdb leaves.
        Directory.CreateDirectory(Path.Combine(data, "postgres", "data.new", "base"));
        var postgres = new PrivatePostgres(ServerOptions.Parse(["--data", data], _ => null), NullLogger<PrivatePostgres>.Instance);
        try
        {
            await postgres.StartAsync(default);
            Assert.Equal(1, await AskAsync(postgres));
            await postgres.StartAsync(default);
            Assert.Equal(1, await AskAsync(postgres));
        }
        finally
        {
            await postgres.StopAsync(default);
            Directory.Delete(root, true);
        }

        Assert.DoesNotContain(Directory.GetFileSystemEntries("/run", "byteport-*"), link => new DirectoryInfo(link).LinkTarget?.StartsWith(root, StringComparison.Ordinal) == true);
    }

    private static async Task<int> AskAsync(PrivatePostgres postgres)
    {
        var settings = new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { Database = "postgres", Pooling = false };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        return (int)(await command.ExecuteScalarAsync())!;
    }
}

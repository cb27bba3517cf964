using BytePort.Server.Hosting;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace BytePort.Server.Database;

/// <summary>Brings the database to this version of the code, once, however many servers start together.</summary>
internal static class DatabaseStart
{
    /// <summary>Any fixed number: the advisory lock that serialises migrations.</summary>
    private const long MigrationLock = 0x62797465706f7274;

    /// <summary>Creates the database if the server has none by that name, and applies the migrations under a lock.</summary>
    /// <exception cref="StartException">The database cannot be reached or its schema is newer than this program.</exception>
    public static async Task MigrateAsync(string connectionString, PlatformDb db, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            await EnsureDatabaseAsync(connectionString, cancellationToken);
            await using var lockConnection = new NpgsqlConnection(connectionString);
            await lockConnection.OpenAsync(cancellationToken);
            await ExecuteAsync(lockConnection, $"SELECT pg_advisory_lock({MigrationLock})", cancellationToken);
            var known = db.Database.GetMigrations().ToHashSet(StringComparer.Ordinal);
            var applied = (await db.Database.GetAppliedMigrationsAsync(cancellationToken)).ToList();
            if (applied.Find(name => !known.Contains(name)) is { } newer)
            {
                throw new StartException($"The database has the migration '{newer}', which this version of BytePort does not know. Start the newer version, or restore a backup from before the upgrade.");
            }

            if (applied.Count < known.Count)
            {
                await db.Database.MigrateAsync(cancellationToken);
                Log.Migrated(logger, known.Count - applied.Count);
            }
        }
        catch (NpgsqlException exception)
        {
            throw new StartException($"The database cannot be used: {exception.Message} Check --database / BYTEPORT_DATABASE and that PostgreSQL runs.");
        }
    }

    private static async Task EnsureDatabaseAsync(string connectionString, CancellationToken cancellationToken)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        await using var connection = new NpgsqlConnection(connectionString);
        try
        {
            await connection.OpenAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            var name = target.Database!;
            target.Database = "postgres";
            target.Pooling = false;
            await using var maintenance = new NpgsqlConnection(target.ConnectionString);
            await maintenance.OpenAsync(cancellationToken);
            try
            {
                await ExecuteAsync(maintenance, $"CREATE DATABASE \"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"", cancellationToken);
            }
            catch (PostgresException race) when (race.SqlState is PostgresErrorCodes.DuplicateDatabase or PostgresErrorCodes.UniqueViolation)
            {
                // Another server made it in the same moment.
            }
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
#pragma warning disable CA2100 // The text is built from constants and a quoted identifier.
        await using var command = new NpgsqlCommand(sql, connection);
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}

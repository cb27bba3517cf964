using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace NanoVms.Commands;

/// <summary>
/// Runs host programs: argument lists only, a minimal environment, bounded output, and an end to the whole process tree
/// when the time is up or the caller cancels.
/// </summary>
public static class CommandRunner
{
    // A daemon that the program left behind may hold its pipes open for ever; its output is of no interest.
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(2);

    /// <summary>Runs to the end; a non-zero exit code is a result like any other.</summary>
    /// <exception cref="CommandException">The program is missing, cannot be started, or was killed because its time was up.</exception>
    /// <exception cref="OperationCanceledException">Canceled; the program and what it started are dead.</exception>
    public static async Task<CommandResult> RunAsync(Command command, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        var output = new BoundedText(command.MaxOutputBytes, keepTail: false);
        var error = new BoundedText(command.MaxOutputBytes, keepTail: true);
        var exitCode = await ExecuteAsync(command, data => output.Append(data.Span), data => error.Append(data.Span), cancellationToken);
        return new CommandResult(exitCode, output.ToString(), error.ToString()) { OutputTruncated = output.Truncated };
    }

    /// <summary>As <see cref="RunAsync"/>, but a non-zero exit code is a <see cref="CommandException"/> with the last lines of standard error.</summary>
    public static async Task<CommandResult> RunCheckedAsync(Command command, CancellationToken cancellationToken)
    {
        var result = await RunAsync(command, cancellationToken);
        if (result.ExitCode == 0)
            return result;

        var lines = (string.IsNullOrWhiteSpace(result.StandardError) ? result.StandardOutput : result.StandardError)
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var last = string.Join('\n', lines.TakeLast(10));
        throw new CommandException(
            $"'{command}' failed with exit code {result.ExitCode}{(last.Length > 0 ? ": " + last : ".")}",
            command.Program,
            CommandFailure.ExitCode,
            result.ExitCode)
        {
            LastLines = last,
        };
    }

    /// <summary>
    /// Runs to the end and hands over each line as it comes, with the name of its stream, <c>stdout</c> or <c>stderr</c>.
    /// Calls never overlap. Returns the exit code.
    /// </summary>
    public static async Task<int> StreamAsync(Command command, Action<string, string> onLine, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        ArgumentNullException.ThrowIfNull(onLine);
        var gate = new Lock();
        var output = new LineSplitter(line => onLine("stdout", line));
        var error = new LineSplitter(line => onLine("stderr", line));
        var exitCode = await ExecuteAsync(command, data => Append(output, data), data => Append(error, data), cancellationToken);
        lock (gate)
        {
            output.Complete();
            error.Complete();
        }

        return exitCode;

        void Append(LineSplitter splitter, ReadOnlyMemory<byte> data)
        {
            lock (gate)
                splitter.Append(data.Span);
        }
    }

    private static async Task<int> ExecuteAsync(
        Command command,
        Action<ReadOnlyMemory<byte>> onOutput,
        Action<ReadOnlyMemory<byte>> onError,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var process = Start(command);
        // Once asked for, these are the caller's to close: the process does not.
        using var outputPipe = process.StandardOutput;
        using var errorPipe = process.StandardError;
        using var timeUp = new CancellationTokenSource(command.Timeout);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(timeUp.Token, cancellationToken);
        using var draining = new CancellationTokenSource();
        var pumps = Task.WhenAll(
            PumpAsync(process, process.StandardOutput.BaseStream, onOutput, draining.Token),
            PumpAsync(process, process.StandardError.BaseStream, onError, draining.Token),
            FeedAsync(process, command.StandardInput, draining.Token));
        try
        {
            await process.WaitForExitAsync(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            ProcessGroup.Kill(process);
            await DrainAsync(pumps, draining);
            cancellationToken.ThrowIfCancellationRequested();
            throw new CommandException(
                $"'{command}' was killed: it did not end within {command.Timeout.TotalSeconds:0.#} seconds.",
                command.Program,
                CommandFailure.TimedOut);
        }

        await DrainAsync(pumps, draining);
        return process.ExitCode;
    }

    private static Process Start(Command command)
    {
        var start = new ProcessStartInfo
        {
            // setsid makes the program the leader of its own session and group, so that one signal reaches all it starts.
            FileName = ProgramLocator.Require("setsid"),
            WorkingDirectory = command.WorkingDirectory ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add(ProgramLocator.Require(command.Program));
        foreach (var argument in command.Arguments)
            start.ArgumentList.Add(argument);

        start.Environment.Clear();
        start.Environment["PATH"] = ProgramLocator.SearchPath;
        start.Environment["HOME"] = Environment.GetEnvironmentVariable("HOME") ?? "/root";
        start.Environment["LANG"] = "C.UTF-8";
        foreach (var (name, value) in command.Environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new CommandException($"Cannot start '{command}': {e.Message}.", command.Program, CommandFailure.NotStarted, inner: e);
        }
    }

    private static async Task PumpAsync(Process process, Stream stream, Action<ReadOnlyMemory<byte>> onData, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        int read;
        try
        {
            while ((read = await stream.ReadAsync(buffer, cancellationToken)) > 0)
                onData(buffer.AsMemory(0, read));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // The receiver threw: nobody would read on, and the program would block on a full pipe until its time is up.
            ProcessGroup.Kill(process);
            throw;
        }
    }

    private static async Task FeedAsync(Process process, string? input, CancellationToken cancellationToken)
    {
        try
        {
            if (input is not null)
                await process.StandardInput.BaseStream.WriteAsync(Encoding.UTF8.GetBytes(input), cancellationToken);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program closed its input or ended without reading it all: its exit code tells the story.
        }
    }

    private static async Task DrainAsync(Task pumps, CancellationTokenSource draining)
    {
        draining.CancelAfter(DrainTime);
        try
        {
            await pumps;
        }
        catch (OperationCanceledException) when (draining.IsCancellationRequested)
        {
        }
    }
}

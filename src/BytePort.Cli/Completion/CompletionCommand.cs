using System.CommandLine;
using BytePort.Cli.Terminal;

namespace BytePort.Cli.Completion;

/// <summary><c>completion</c>: a script for the shell that asks the CLI itself what fits.</summary>
internal static class CompletionCommand
{
    public static Command Create(CliHost host)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print a completion script: source <(byteport completion bash)") { shell };
        command.Runs(host, (arguments, _) =>
        {
            host.Out.Write(arguments.GetValue(shell) switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                _ => Fish,
            });
            return Task.FromResult(ExitCode.Ok);
        });
        return command;
    }

    private const string Bash = """
        _byteport() {
          local line
          COMPREPLY=()
          while IFS= read -r line; do
            COMPREPLY+=("$line")
          done < <(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
        }
        complete -o default -F _byteport byteport ./byteport

        """;

    private const string Zsh = """
        #compdef byteport
        _byteport() {
          local -a found
          found=("${(@f)$("${words[1]}" "[suggest:$#BUFFER]" "$BUFFER" 2>/dev/null)}")
          compadd -a found
          _files
        }
        compdef _byteport byteport

        """;

    private const string Fish = """
        function __byteport
          set -l line (commandline -cp)
          byteport "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c byteport -a '(__byteport)'

        """;
}

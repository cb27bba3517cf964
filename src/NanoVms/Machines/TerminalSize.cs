namespace NanoVms.Machines;

/// <summary>Of a terminal, in characters; each 1 to 65535.</summary>
public readonly record struct TerminalSize(int Columns, int Rows);

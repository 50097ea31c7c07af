using System.Collections.Concurrent;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Machines;

/// <summary>
/// The terminals that all JSON grammars share, so that their masks are computed once per model. White space stands after opening brackets,
/// commas and colons and before closing brackets: none, one space, or a line break with some indentation.
/// </summary>
internal static class JsonMachines
{
    private static readonly string s_space = FormattableString.Invariant($"( |\n( {{0,{GrammarLimits.IndentMax}}}|\t{{1,{GrammarLimits.IndentMax}}}))?");

    public static ByteMachine OpenObject { get; } = Compile("\\{" + s_space);

    public static ByteMachine CloseObject { get; } = Compile(s_space + "\\}");

    public static ByteMachine OpenArray { get; } = Compile("\\[" + s_space);

    public static ByteMachine CloseArray { get; } = Compile(s_space + "\\]");

    /// <summary>The closing bracket where the white space has been written already.</summary>
    public static ByteMachine CloseEmptyObject { get; } = new LiteralMachine("}"u8.ToArray());

    /// <inheritdoc cref="CloseEmptyObject"/>
    public static ByteMachine CloseEmptyArray { get; } = new LiteralMachine("]"u8.ToArray());

    public static ByteMachine Comma { get; } = Compile("," + s_space);

    public static ByteMachine Colon { get; } = Compile(":" + s_space);

    public static ByteMachine String { get; } = new StringMachine();

    public static ByteMachine Number { get; } = Compile(NumberPatterns.Number);

    public static ByteMachine Integer { get; } = Compile(NumberPatterns.Integer);

    public static ByteMachine Boolean { get; } = new LiteralMachine("true"u8.ToArray(), "false"u8.ToArray());

    public static ByteMachine Null { get; } = new LiteralMachine("null"u8.ToArray());

    private static readonly ConcurrentDictionary<string, ByteMachine> s_formats = new();

    /// <summary>A string of a format that <see cref="StringFormats.Find"/> knows.</summary>
    public static ByteMachine Format(string name) => s_formats.GetOrAdd(name, static known => new PatternStringMachine(StringFormats.Find(known)!));

    private static AsciiMachine Compile(string pattern) => Compile(PatternParser.ParseWhole(pattern));

    private static AsciiMachine Compile(PatternNode pattern) => new(PatternDfa.Compile(pattern, new PatternBudget())!);
}

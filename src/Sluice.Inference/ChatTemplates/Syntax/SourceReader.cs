using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>A position in template source that counts lines.</summary>
internal sealed class SourceReader(string source)
{
    public string Source { get; } = source;

    public int Position { get; private set; }

    public int Line { get; private set; } = 1;

    public bool IsAtEnd => Position >= Source.Length;

    public char Current => Peek(0);

    /// <summary>The character <paramref name="offset"/> places on; '\0' past the end.</summary>
    public char Peek(int offset) => Position + offset < Source.Length ? Source[Position + offset] : '\0';

    public bool StartsWith(string text) => string.CompareOrdinal(Source, Position, text, 0, text.Length) == 0;

    public void Advance(int count = 1)
    {
        int end = Math.Min(Position + count, Source.Length);
        Line += Source.AsSpan(Position, end - Position).Count('\n');
        Position = end;
    }

    public void SkipSpace()
    {
        int end = Position;
        while (end < Source.Length && PythonCharacters.IsSpace(Source[end])) end++;
        Advance(end - Position);
    }

    /// <summary>Skips one newline; false when there is none.</summary>
    public bool SkipNewline()
    {
        if (Current != '\n') return false;
        Advance();
        return true;
    }

    public ChatTemplateException Fail(string message) => new(message, Line);
}

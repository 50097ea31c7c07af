using System.Globalization;

namespace Sluice.Cli.Chat;

/// <summary>A text and a place in it, as an editor changes them. The place is always between two text elements.</summary>
internal sealed class EditBuffer
{
    /// <summary>The text; lines are separated by line feeds.</summary>
    public string Text { get; private set; } = "";

    /// <summary>Characters before the cursor.</summary>
    public int Cursor { get; private set; }

    /// <summary>Whether the cursor is in the first line.</summary>
    public bool IsInFirstLine => Text.AsSpan(0, Cursor).IndexOf('\n') < 0;

    /// <summary>Whether the cursor is in the last line.</summary>
    public bool IsInLastLine => Text.AsSpan(Cursor).IndexOf('\n') < 0;

    /// <summary>Replaces everything; the cursor is at the end.</summary>
    public void Set(string text) => (Text, Cursor) = (text, text.Length);

    public void Insert(string text)
    {
        Text = Text.Insert(Cursor, text);
        Cursor += text.Length;
    }

    public void Left() => Cursor = Before(Cursor);

    public void Right() => Cursor = Behind(Cursor);

    /// <summary>To the beginning of the line.</summary>
    public void Home() => Cursor = Text.LastIndexOf('\n', int.Max(0, Cursor - 1), int.Max(0, Cursor)) + 1;

    /// <summary>To the end of the line.</summary>
    public void End() => Cursor = Text.IndexOf('\n', Cursor) is >= 0 and var end ? end : Text.Length;

    /// <summary>To the line above, as far from its beginning.</summary>
    public void Up()
    {
        var column = Cursor;
        Home();
        if (Cursor == 0) return;
        column -= Cursor;
        Cursor--;
        var end = Cursor;
        Home();
        Snap(int.Min(Cursor + column, end));
    }

    /// <summary>To the line below, as far from its beginning.</summary>
    public void Down()
    {
        var column = Cursor;
        Home();
        column -= Cursor;
        End();
        if (Cursor == Text.Length) return;
        var start = Cursor + 1;
        Cursor = start;
        End();
        Snap(int.Min(start + column, Cursor));
    }

    /// <summary>Removes the element before the cursor.</summary>
    public void Backspace() => Remove(Before(Cursor), Cursor);

    /// <summary>Removes the element behind the cursor.</summary>
    public void Delete() => Remove(Cursor, Behind(Cursor));

    /// <summary>Removes everything from the beginning of the line to the cursor.</summary>
    public void DeleteToHome()
    {
        var end = Cursor;
        Home();
        Remove(Cursor, end);
    }

    /// <summary>Removes everything from the cursor to the end of the line.</summary>
    public void DeleteToEnd()
    {
        var start = Cursor;
        End();
        Remove(start, Cursor);
    }

    /// <summary>Removes the word before the cursor, and the spaces behind it.</summary>
    public void DeleteWord()
    {
        var start = Cursor;
        while (start > 0 && char.IsWhiteSpace(Text[start - 1])) start--;
        while (start > 0 && !char.IsWhiteSpace(Text[start - 1])) start--;
        Remove(start, Cursor);
    }

    private void Remove(int start, int end)
    {
        Text = Text.Remove(start, end - start);
        Cursor = start;
    }

    private int Behind(int place) => place < Text.Length ? place + StringInfo.GetNextTextElementLength(Text, place) : place;

    private int Before(int place)
    {
        var last = 0;
        // Elements are found from the front only.
        for (var next = 0; next < place; next = Behind(next)) last = next;
        return last;
    }

    private void Snap(int place)
    {
        var next = 0;
        while (next < place) next = Behind(next);
        Cursor = next;
    }
}

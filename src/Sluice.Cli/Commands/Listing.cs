using System.Text;
using System.Text.Json;

namespace Sluice.Cli.Commands;

/// <summary>Rows under titles: a table where the terminal is wide enough, otherwise one block for each row, and JSON for programs.</summary>
internal sealed class Listing(params string[] titles)
{
    private const string Gap = "  ";

    private readonly List<(string[] Texts, Action<Utf8JsonWriter> WriteMembers)> _rows = [];

    /// <param name="writeMembers">Writes the members of the row's JSON object.</param>
    /// <param name="texts">One for each title; an empty one is left out of a block.</param>
    public void Add(Action<Utf8JsonWriter> writeMembers, params string[] texts) => _rows.Add((texts, writeMembers));

    /// <summary>Writes all rows to the output.</summary>
    public void Write(Terminal terminal, bool asJson)
    {
        if (asJson)
        {
            WriteJson(terminal.Output, json =>
            {
                json.WriteStartArray();
                foreach (var (_, writeMembers) in _rows)
                {
                    json.WriteStartObject();
                    writeMembers(json);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        var widths = titles.Select((title, column) => _rows.Select(row => row.Texts[column].Length).Append(title.Length).Max()).ToArray();
        if (terminal.Width is not { } width || widths.Sum() + (Gap.Length * (widths.Length - 1)) <= width) WriteTable(terminal.Output, widths);
        else WriteBlocks(terminal.Output, width);
    }

    /// <summary>Writes one indented JSON text and a line break.</summary>
    public static void WriteJson(TextWriter output, Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" })) write(json);
        output.WriteLine(Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length));
    }

    private void WriteTable(TextWriter output, int[] widths)
    {
        foreach (var texts in _rows.Select(static row => row.Texts).Prepend(titles))
            output.WriteLine(string.Join(Gap, texts.Select((text, column) => text.PadRight(widths[column]))).TrimEnd());
    }

    private void WriteBlocks(TextWriter output, int width)
    {
        var indent = titles.Skip(1).Max(static title => title.Length) + (2 * Gap.Length);
        var room = int.Max(1, width - indent);
        foreach (var (texts, _) in _rows)
        {
            foreach (var piece in texts[0].Chunk(width)) output.WriteLine(new string(piece));
            for (var column = 1; column < titles.Length; column++)
            {
                var label = (Gap + titles[column].ToLowerInvariant()).PadRight(indent);
                foreach (var piece in texts[column].Chunk(room))
                {
                    output.WriteLine(label + new string(piece));
                    label = new string(' ', indent);
                }
            }
        }
    }
}

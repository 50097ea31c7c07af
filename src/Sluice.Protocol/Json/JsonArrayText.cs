using System.Text.Json;

namespace Sluice.Protocol.Json;

/// <summary>Where the elements of an array stand in a text. Reused from array to array.</summary>
internal sealed class JsonArrayText
{
    private readonly List<(int Start, int End, JsonTokenType Type)> _elements = [];

    public int Count => _elements.Count;

    public (int Start, int End, JsonTokenType Type) this[int index] => _elements[index];

    /// <summary>Takes up one value as if it were the only element of an array.</summary>
    public void ReadOne(int start, int end, JsonTokenType type)
    {
        _elements.Clear();
        _elements.Add((start, end, type));
    }

    /// <summary>Takes up the array at <paramref name="start"/>.</summary>
    /// <exception cref="JsonException">There is no well-formed array.</exception>
    public void Read(ReadOnlySpan<byte> json, int start)
    {
        _elements.Clear();
        var reader = new Utf8JsonReader(json[start..], JsonText.Reading);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException("Not an array.");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var elementStart = start + (int)reader.TokenStartIndex;
            var type = reader.TokenType;
            reader.Skip();
            _elements.Add((elementStart, start + (int)reader.BytesConsumed, type));
        }
    }
}

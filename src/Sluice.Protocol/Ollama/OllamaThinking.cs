using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>Whether a request wants to see what a model thinks.</summary>
internal static class OllamaThinking
{
    public static bool IsOff(ReadOnlySpan<byte> body)
    {
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        if (body.IsEmpty) return false;
        var root = new JsonObjectText();
        root.Read(body, 0);
        return root.TypeOf(root.Find(body, "think"u8)) == JsonTokenType.False;
    }
}

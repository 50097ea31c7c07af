using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Rerank;

/// <summary>What the local engine is asked to order.</summary>
/// <param name="Query">At least one character.</param>
/// <param name="Documents">1 to <see cref="DocumentsMax"/>, in the request's order.</param>
public sealed record RerankRequest(string Query, IReadOnlyList<string> Documents)
{
    /// <summary>Documents of one request, as for embeddings.</summary>
    public const int DocumentsMax = 2048;

    /// <summary>Results that are wanted; null for all.</summary>
    public int? Count { get; init; }

    /// <summary>Whether each result repeats its document. The default value is false.</summary>
    public bool ReturnsDocuments { get; init; }

    /// <summary>Reads a body; unknown members are ignored.</summary>
    /// <param name="body">A JSON object.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="error">A 400.</param>
    public static bool TryRead(ReadOnlyMemory<byte> body, [NotNullWhen(true)] out RerankRequest? request, [NotNullWhen(false)] out ApiError? error)
    {
        request = null;
        using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = ProtocolLimits.JsonDepthMax });
        var parameters = new ParameterReader(document.RootElement);
        var query = ReadText(parameters, parameters.Require("query", JsonValueKind.String, "a string"), "query");
        var documents = new List<string>();
        if (parameters.Require("documents", JsonValueKind.Array, "an array of strings") is { } list) ReadDocuments(parameters, list, documents);
        var count = parameters.Integer("top_n", 1, int.MaxValue);
        var returnsDocuments = parameters.Boolean("return_documents") ?? false;
        error = parameters.Error;
        if (error is not null) return false;
        request = new RerankRequest(query!, documents) { Count = (int?)count, ReturnsDocuments = returnsDocuments };
        return true;
    }

    private static void ReadDocuments(ParameterReader parameters, JsonElement list, List<string> documents)
    {
        var count = list.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray("documents"));
        if (count > DocumentsMax) parameters.Fail(ApiErrors.ArrayTooLong("documents", DocumentsMax, count));
        foreach (var element in list.EnumerateArray())
        {
            if (parameters.Error is not null) return;
            var path = $"documents[{documents.Count}]";
            // Older clients send objects.
            var text = element.ValueKind == JsonValueKind.Object && element.TryGetProperty("text"u8, out var member) ? member : element;
            if (text.ValueKind != JsonValueKind.String) parameters.Fail(ApiErrors.InvalidType(path, "a string", ApiErrors.Describe(text)));
            else if (ReadText(parameters, text, path) is { } read) documents.Add(read);
        }
    }

    // A lone surrogate is U+FFFD, as everywhere.
    private static string? ReadText(ParameterReader parameters, JsonElement? value, string path)
    {
        if (value is not { } text) return null;
        var read = JsonStrings.Read(text);
        if (read.Length == 0) parameters.Fail(ApiErrors.EmptyString(path));
        return read.Length == 0 ? null : read;
    }
}

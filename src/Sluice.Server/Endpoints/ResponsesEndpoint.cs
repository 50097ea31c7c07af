using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>What the Responses API has beside answers: the items that one was asked with.</summary>
internal sealed class ResponsesEndpoint(ResponsesPreparation preparation, Admission admission, Limits limits, TimeProvider time)
{
    private const int PageMax = 100;
    private const int PageDefault = 20;

    /// <summary><c>GET /v1/responses/{id}/input_items</c>: a page of the input, the last item first unless <c>order=asc</c>.</summary>
    public async Task WriteInputItemsAsync(HttpContext context, string id, Caller caller)
    {
        var query = context.Request.Query;
        var count = PageDefault;
        ApiError? error = null;
        if (query.TryGetValue("limit", out var limit) && (!int.TryParse(limit, out count) || count is < 1 or > PageMax))
            error = ApiErrors.InvalidItem("limit", $"The parameter limit must be a number from 1 to {PageMax}.");
        var items = default(IReadOnlyList<JsonElement>);
        var (answer, lost) = await admission.FindAsync(id, caller, context.RequestAborted);
        if (answer is null || answer.Owner.IsHidden) error ??= lost ?? ApiErrors.ResponseNotFound(id);
        else if (error is null) items = await preparation.FindInputAsync(answer, hasIds: true, context.RequestAborted);
        if (error is null && items is null) error = ApiErrors.ResponseNotFound(id);
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        var ordered = query["order"] == "asc" ? items! : [.. items!.Reverse()];
        if (query.TryGetValue("after", out var after)) ordered = [.. ordered.SkipWhile(item => IdOf(item) != after).Skip(1)];
        var page = ordered.Take(count).ToList();
        await JsonReply.WriteAsync(context, Write(page, hasMore: ordered.Count > page.Count), limits, time);
    }

    /// <summary>A client asks for a WebSocket. With this answer it goes on over HTTP at once.</summary>
    public static Task RefuseWebSocketAsync(HttpContext context)
    {
        context.Response.Headers.Upgrade = "HTTP/1.1";
        return JsonReply.WriteErrorAsync(context, ApiErrors.NoWebSockets());
    }

    private static ReadOnlyMemory<byte> Write(List<JsonElement> page, bool hasMore)
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output);
        writer.WriteStartObject();
        writer.WriteString("object"u8, "list"u8);
        writer.WriteStartArray("data"u8);
        foreach (var item in page) item.WriteTo(writer);
        writer.WriteEndArray();
        writer.WriteString("first_id"u8, page.Count > 0 ? IdOf(page[0]) : null);
        writer.WriteString("last_id"u8, page.Count > 0 ? IdOf(page[^1]) : null);
        writer.WriteBoolean("has_more"u8, hasMore);
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    private static string? IdOf(JsonElement item) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty("id"u8, out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null;
}

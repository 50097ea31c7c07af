using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Server.Ledger;

namespace Sluice.Server.Endpoints;

/// <summary>
/// What administrators ask for: usage and costs of the whole hub in the shapes of OpenAI's API, so that dashboards for it work, and taking a
/// person out of the ledger.
/// </summary>
/// <param name="time">Clock.</param>
/// <param name="keys">Answers for keys.</param>
/// <param name="ledger">Null where nothing is written down.</param>
/// <param name="cache">Answers that are given again; null without any.</param>
internal sealed class AdminEndpoint(TimeProvider time, AdminKeysEndpoint keys, LedgerWriter? ledger = null, AnswerCache? cache = null)
{
    private const string UsagePath = ApiDispatcher.ApiPath + "/organization/usage/completions";
    private const string CostsPath = ApiDispatcher.ApiPath + "/organization/costs";
    private const string SubjectPrefix = "/admin/subjects/";

    public async Task InvokeAsync(HttpContext context, string path, AdminDoor door)
    {
        context.Response.Headers.CacheControl = "no-store";
        var error = door.FindRefusal(context.Request);
        if (error is null && ledger is { } file)
        {
            var isGet = HttpMethods.IsGet(context.Request.Method);
            if (path is UsagePath or CostsPath && isGet) error = await WriteBucketsAsync(context, file, isCosts: path == CostsPath);
            else if (path.StartsWith(SubjectPrefix, StringComparison.Ordinal) && HttpMethods.IsDelete(context.Request.Method))
                await ForgetAsync(context, file, Uri.UnescapeDataString(path[SubjectPrefix.Length..]));
            else if (AdminKeysEndpoint.Owns(path)) error = await keys.InvokeAsync(context, path, file);
            else error = ApiErrors.InvalidUrl(context.Request.Method, path);
        }
        if (error is not null) await JsonReply.WriteErrorAsync(context, error);
    }

    private async Task<ApiError?> WriteBucketsAsync(HttpContext context, LedgerWriter file, bool isCosts)
    {
        var (query, error) = UsageQuery.Read(context.Request.Query, time.GetUtcNow().ToUnixTimeSeconds() + 1, isCosts);
        if (query is null) return error;
        await file.FlushAsync();
        var rows = await file.UseAsync(opened => opened.ReadBuckets(query.Start, query.PageEnd, query.Width));
        var byBucket = rows.ToLookup(static row => row.Start);
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("object"u8, "page"u8);
            json.WriteStartArray("data"u8);
            for (var start = query.Start; start < query.PageEnd; start += query.Width)
            {
                json.WriteStartObject();
                json.WriteString("object"u8, "bucket"u8);
                json.WriteNumber("start_time"u8, start);
                json.WriteNumber("end_time"u8, start + query.Width);
                json.WriteStartArray("results"u8);
                foreach (var same in byBucket[start].GroupBy(row => KeyOf(row, query.Groups))) Write(json, same, query.Groups, isCosts);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteBoolean("has_more"u8, query.PageEnd < query.End);
            if (query.PageEnd < query.End) json.WriteString("next_page"u8, query.PageEnd.ToString(System.Globalization.CultureInfo.InvariantCulture));
            else json.WriteNull("next_page"u8);
            json.WriteEndObject();
        }
        await JsonReply.WriteAsync(context, body.WrittenMemory);
        return null;
    }

    private static (string?, string?, string?) KeyOf(BucketRow row, IReadOnlyList<string> groups) => (
        groups.Contains("project_id") ? row.Project : null, groups.Contains("api_key_id") ? row.Key : null, groups.Contains("model") ? row.Model : null);

    private static void Write(Utf8JsonWriter json, IGrouping<(string? Project, string? Key, string? Model), BucketRow> rows, IReadOnlyList<string> groups, bool isCosts)
    {
        json.WriteStartObject();
        if (isCosts)
        {
            json.WriteString("object"u8, "organization.costs.result"u8);
            json.WriteStartObject("amount"u8);
            json.WriteNumber("value"u8, rows.Sum(static row => row.CostNanoUsd) / 1e9m);
            json.WriteString("currency"u8, "usd"u8);
            json.WriteEndObject();
            // What a cost is for, in the API's words.
            Name("line_item", rows.Key.Model, "model");
        }
        else
        {
            json.WriteString("object"u8, "organization.usage.completions.result"u8);
            json.WriteNumber("input_tokens"u8, rows.Sum(static row => row.Prompt));
            json.WriteNumber("output_tokens"u8, rows.Sum(static row => row.Output));
            json.WriteNumber("input_cached_tokens"u8, rows.Sum(static row => row.Cached));
            json.WriteNumber("input_audio_tokens"u8, 0);
            json.WriteNumber("output_audio_tokens"u8, 0);
            json.WriteNumber("num_model_requests"u8, rows.Sum(static row => row.Requests));
            json.WriteNull("user_id"u8);
            Name("model", rows.Key.Model);
            json.WriteNull("batch"u8);
        }
        Name("project_id", rows.Key.Project);
        Name("api_key_id", rows.Key.Key);
        json.WriteEndObject();

        void Name(string name, string? value, string? group = null)
        {
            if (groups.Contains(group ?? name) && value is { Length: > 0 }) json.WriteString(name, value);
            else json.WriteNull(name);
        }
    }

    private async Task ForgetAsync(HttpContext context, LedgerWriter file, string user)
    {
        await file.FlushAsync();
        var count = await file.UseAsync(opened =>
        {
            var subject = Subject.HashOf(opened.GetSubjectSecret(), user);
            cache?.Forget(subject);
            return opened.Forget(subject, new AuditRow(time.GetUtcNow().ToUnixTimeMilliseconds(), "admin", "subject.forget", subject, null, null));
        });
        await JsonReply.WriteAsync(context, Encoding.ASCII.GetBytes($"{{\"object\":\"subject.deleted\",\"rows\":{count}}}"));
    }
}

using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Metering;

namespace Sluice.Server.Console;

/// <summary>What the console shows of answers, as JSON: where they stand and what they take, never what they say.</summary>
/// <param name="answers">All that the hub knows.</param>
/// <param name="limiter">Has the prices.</param>
/// <param name="time">Clock of ages.</param>
internal sealed class AnswersView(AnswerTable answers, Limiter limiter, TimeProvider time)
{
    /// <summary>Writes the newest answers.</summary>
    /// <param name="json">Gets a member <c>answers</c>.</param>
    /// <param name="caller">Whose; null for an administrator, who sees everybody's, with their owners.</param>
    /// <param name="ids">
    /// Which of their ids are said, with which an answer can be read and cancelled; null for all. An answer that nobody may look at by its id
    /// has none here.
    /// </param>
    public void Write(Utf8JsonWriter json, Caller? caller, IReadOnlySet<string>? ids)
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        json.WriteStartArray("answers"u8);
        foreach (var answer in answers.FindLatest(caller?.Ids, ConsoleLimits.AnswersMax)) Write(json, answer, now, isAdmin: caller is null, ids);
        json.WriteEndArray();
    }

    private void Write(Utf8JsonWriter json, Answer answer, long now, bool isAdmin, IReadOnlySet<string>? ids)
    {
        var record = answer.Record;
        json.WriteStartObject();
        if (ids?.Contains(answer.Id) != false && (isAdmin || !answer.Owner.IsHidden)) json.WriteString("id"u8, answer.Id);
        json.WriteString("door"u8, answer.Owner.Dialect.Name);
        json.WriteString("path"u8, answer.Owner.Dialect.Path);
        json.WriteString("model"u8, answer.Model);
        json.WriteString("state"u8, answer.State);
        json.WriteNumber("readers"u8, answer.ReaderCount);
        json.WriteNumber("age"u8, long.Max(0, now - answer.Created));
        json.WriteNumber("events"u8, answer.Log.EventCount);
        if (record.Upstream is { } upstream) json.WriteString("upstream"u8, upstream);
        if (record.TimeToFirstToken is { } first) json.WriteNumber("first_token"u8, Math.Round(first.TotalSeconds, 4));
        WriteUsage(json, answer);
        if (isAdmin)
        {
            json.WriteString("owner"u8, answer.Owner.Principal);
            if (record.Hold?.Account.Name is { Length: > 0 } name) json.WriteString("owner_name"u8, name);
        }
        json.WriteEndObject();
    }

    // While it is made, each piece of content counts as a token.
    private void WriteUsage(Utf8JsonWriter json, Answer answer)
    {
        var record = answer.Record;
        var usage = record.Usage ?? new AnswerUsage((int)long.Min(record.Hold?.PromptTokens ?? 0, int.MaxValue), 0, record.ContentCount);
        json.WriteNumber("input_tokens"u8, usage.PromptTokens);
        json.WriteNumber("output_tokens"u8, usage.CompletionTokens);
        json.WriteBoolean("estimated"u8, record.Usage is null || record.IsUsageEstimated);
        if (record.Hold is { ChargedNanoUsd: > 0 } hold && answer.IsEnded) json.WriteNumber("usd"u8, hold.ChargedNanoUsd / 1e9m);
        else if (limiter.PriceOf(record.Hold?.Model ?? answer.Model).Of(usage) is > 0 and var cost) json.WriteNumber("usd"u8, cost / 1e9m);
    }
}

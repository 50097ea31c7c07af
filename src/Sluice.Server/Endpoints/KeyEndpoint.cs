using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;

namespace Sluice.Server.Endpoints;

/// <summary><c>GET /v1/key</c>: what a key may use and has used, and nobody else's numbers.</summary>
/// <param name="limiter">Knows what is left.</param>
/// <param name="time">Clock.</param>
/// <param name="ledger">Knows what was used; null where nothing is written down.</param>
internal sealed class KeyEndpoint(Limiter limiter, TimeProvider time, LedgerWriter? ledger = null)
{
    public async Task WriteAsync(HttpContext context, Caller caller)
    {
        if (caller.Account is not { } account)
        {
            await JsonReply.WriteErrorAsync(context, ApiErrors.Forbidden("Nothing is counted here: the hub has neither keys with limits nor a ledger.", "not_metered"));
            return;
        }
        var now = time.GetUtcNow();
        var used = ledger is null ? [] : await ReadUsedAsync(ledger, account.Key, now);
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body)) Write(json, account, used);
        context.Response.Headers.CacheControl = "no-store";
        await JsonReply.WriteAsync(context, body.WrittenMemory);
    }

    private void Write(Utf8JsonWriter json, Account account, List<(string Period, long Tokens, long NanoUsd)> used)
    {
        var view = limiter.View(account);
        json.WriteStartObject();
        json.WriteString("object"u8, "key"u8);
        json.WriteString("id"u8, account.Key);
        if (account.Name.Length > 0) json.WriteString("name"u8, account.Name);
        if (account.Project is { } project) json.WriteString("project"u8, project);
        if (account.Expires is { } expires) json.WriteNumber("expires_at"u8, expires.ToUnixTimeSeconds());
        if (account.Models is { } models)
        {
            json.WriteStartArray("models"u8);
            foreach (var model in models) json.WriteStringValue(model);
            json.WriteEndArray();
        }
        json.WriteStartObject("limits"u8);
        Write(json, "requests_per_minute", view.Requests);
        Write(json, "tokens_per_minute", view.Tokens);
        json.WriteEndObject();
        json.WriteStartArray("budgets"u8);
        foreach (var budget in limiter.ViewBudgets(account)) Write(json, budget);
        json.WriteEndArray();
        json.WriteStartObject("usage"u8);
        foreach (var (period, tokens, nanoUsd) in used)
        {
            json.WriteStartObject(period);
            json.WriteNumber("tokens"u8, tokens);
            json.WriteNumber("usd"u8, nanoUsd / 1e9m);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, BucketView? bucket)
    {
        if (bucket is not { } view) return;
        json.WriteStartObject(name);
        json.WriteNumber("limit"u8, view.Limit);
        json.WriteNumber("remaining"u8, view.Remaining);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, in BudgetView budget)
    {
        var isMoney = budget.Unit == BudgetUnit.NanoUsd;
        json.WriteStartObject();
        json.WriteString("scope"u8, budget.Scope);
        json.WriteString("unit"u8, isMoney ? "usd"u8 : "tokens"u8);
        Amount("limit", budget.Limit);
        Amount("used", budget.Settled);
        Amount("held", budget.Held);
        Amount("remaining", budget.Remaining);
        if (budget.Window.End == DateTimeOffset.MaxValue) json.WriteNull("resets_at"u8);
        else json.WriteNumber("resets_at"u8, budget.Window.End.ToUnixTimeSeconds());
        json.WriteEndObject();

        void Amount(string name, long amount)
        {
            if (isMoney) json.WriteNumber(name, amount / 1e9m);
            else json.WriteNumber(name, amount);
        }
    }

    private static Task<List<(string, long, long)>> ReadUsedAsync(LedgerWriter ledger, string key, DateTimeOffset now) => ledger.UseAsync(file =>
    {
        var used = new List<(string, long, long)>();
        foreach (var (name, period) in (ReadOnlySpan<(string, BudgetPeriod)>)[("day", BudgetPeriod.Day), ("week", BudgetPeriod.Week), ("month", BudgetPeriod.Month)])
        {
            var since = BudgetWindow.At(now, period, TimeZoneInfo.Utc).Start.ToUnixTimeMilliseconds();
            used.Add((name, file.Count("key", key, since, isMoney: false), file.Count("key", key, since, isMoney: true)));
        }
        return used;
    });
}

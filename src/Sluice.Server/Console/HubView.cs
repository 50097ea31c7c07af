using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Server.Access;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Serving;

namespace Sluice.Server.Console;

/// <summary>What the console shows of models and upstreams, as JSON: what there is, how it fares, and the last hour by the minute.</summary>
/// <param name="history">The last hour.</param>
/// <param name="memory">Which local models are loaded.</param>
internal sealed class HubView(HourHistory history, LoadedModels<InferenceEngine> memory)
{
    /// <summary>Writes the models that a caller may use.</summary>
    /// <param name="json">Gets a member <c>models</c>.</param>
    /// <param name="configuration">Whose.</param>
    /// <param name="caller">Null for an administrator, who sees all.</param>
    public static void WriteModels(Utf8JsonWriter json, HubSnapshot configuration, Caller? caller)
    {
        json.WriteStartArray("models"u8);
        foreach (var model in configuration.Catalog.Models.Where(model => caller?.MayUse(model) != false))
        {
            json.WriteStartObject();
            json.WriteString("id"u8, model.Id);
            json.WriteString("kind"u8, model is LocalModel ? "local"u8 : "upstream"u8);
            json.WriteStartArray("aliases"u8);
            foreach (var alias in model.Aliases) json.WriteStringValue(alias);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>Writes how models and their upstreams fare.</summary>
    /// <param name="json">Gets the members <c>minute</c>, <c>models</c> and <c>upstreams</c>.</param>
    /// <param name="configuration">Whose.</param>
    /// <param name="caller">Null for an administrator, who sees all.</param>
    public void WriteHealth(Utf8JsonWriter json, HubSnapshot configuration, Caller? caller)
    {
        var minute = history.Minute;
        var routes = configuration.Router.Routes.Where(route => caller?.MayUse(route.Model) != false).ToList();
        json.WriteNumber("minute"u8, minute);
        json.WriteStartArray("models"u8);
        foreach (var route in routes)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, route.Model.Id);
            json.WriteString("kind"u8, route.Model is LocalModel ? "local"u8 : "upstream"u8);
            if (route.Model is LocalModel local) json.WriteBoolean("loaded"u8, memory.PresenceOf(local.Path) == ModelPresence.Loaded);
            json.WriteNumber("in_flight"u8, route.Deployments.Sum(static deployment => deployment.InFlight));
            WriteHour(json, history.FindModel(route.Model.Id), minute);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("upstreams"u8);
        foreach (var route in routes)
        {
            foreach (var same in route.Deployments.GroupBy(static deployment => deployment.Upstream.Identity.Name)) Write(json, route.Model.Id, same.Key, [.. same], minute);
        }
        json.WriteEndArray();
    }

    private void Write(Utf8JsonWriter json, string model, string name, List<Deployment> deployments, long minute)
    {
        json.WriteStartObject();
        json.WriteString("model"u8, model);
        json.WriteString("name"u8, name);
        json.WriteString("breaker"u8, deployments.Max(static deployment => deployment.Breaker.State) switch
        {
            BreakerState.Open => "open"u8,
            BreakerState.Probing => "probing"u8,
            _ => "closed"u8,
        });
        json.WriteBoolean("avoided"u8, deployments.TrueForAll(static deployment => deployment.IsAvoided));
        json.WriteNumber("in_flight"u8, deployments.Sum(static deployment => deployment.InFlight));
        var minutes = history.FindUpstream(model, name)?.Read(minute) ?? [];
        WriteNumbers(json, "attempts", minutes.Select(static one => (double?)one.Attempts));
        WriteNumbers(json, "faults", minutes.Select(static one => (double?)one.Faults));
        json.WriteEndObject();
    }

    private static void WriteHour(Utf8JsonWriter json, ModelMinutes? model, long minute)
    {
        if (model is null) return;
        var (minutes, first, gaps) = model.Read(minute);
        json.WriteNumber("requests"u8, minutes.Sum(static one => one.Requests));
        json.WriteNumber("errors"u8, minutes.Sum(static one => one.Errors));
        json.WriteNumber("input_tokens"u8, minutes.Sum(static one => one.InputTokens));
        json.WriteNumber("output_tokens"u8, minutes.Sum(static one => one.OutputTokens));
        WriteTime(json, "first_p50", TimeBuckets.Percentile(first, 0.5));
        WriteTime(json, "first_p95", TimeBuckets.Percentile(first, 0.95));
        WriteTime(json, "gap_p50", TimeBuckets.Percentile(gaps, 0.5));
        WriteTime(json, "gap_p95", TimeBuckets.Percentile(gaps, 0.95));
        json.WriteStartObject("by_minute"u8);
        WriteNumbers(json, "requests", minutes.Select(static one => (double?)one.Requests));
        WriteNumbers(json, "errors", minutes.Select(static one => (double?)one.Errors));
        WriteNumbers(json, "output_tokens", minutes.Select(static one => (double?)one.OutputTokens));
        WriteNumbers(json, "first_p50", minutes.Select(static one => one.FirstMedian));
        WriteNumbers(json, "first_p95", minutes.Select(static one => one.FirstHigh));
        WriteNumbers(json, "gap_p50", minutes.Select(static one => one.GapMedian));
        WriteNumbers(json, "gap_p95", minutes.Select(static one => one.GapHigh));
        json.WriteEndObject();
    }

    // A tenth of a millisecond is the finest that is known.
    private static void WriteTime(Utf8JsonWriter json, string name, double? seconds)
    {
        if (seconds is { } known) json.WriteNumber(name, Math.Round(known, 4));
        else json.WriteNull(name);
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<double?> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            if (value is { } known) json.WriteNumberValue(Math.Round(known, 4));
            else json.WriteNullValue();
        }
        json.WriteEndArray();
    }
}

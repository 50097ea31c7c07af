using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Access;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>What a request says of the cache.</summary>
internal enum CacheWish
{
    /// <summary>It may be answered from there.</summary>
    Use,

    /// <summary>It wants an answer that is new, which others may have later.</summary>
    Renew,

    /// <summary>It wants nothing to do with it.</summary>
    Avoid,
}

/// <summary>
/// Whole answers that are given again to requests of the same words, of those models that are configured so: within one project, or one key.
/// What a request says can't lead beyond that, because the hub writes whose cache it is in front of what is hashed. In memory, bounded in
/// bytes; the oldest goes first. Thread-safe.
/// </summary>
internal sealed class AnswerCache(Limits limits, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<CachedAnswer>> _byKey = new(StringComparer.Ordinal);

    // The oldest first.
    private readonly LinkedList<CachedAnswer> _byAge = [];
    private long _bytes;

    /// <summary>What a question is called; null where its answer must not come from a cache, nor go into it.</summary>
    public static string? FindKey(Ask ask, Caller caller)
    {
        if (ask.Route.Model.Cache is not { } options || ask.CacheWish == CacheWish.Avoid || ask.IsBackground) return null;
        // Whoever asks again for something that is drawn by lot wants another one.
        if (!options.IncludesSampled && ask.Outline.Temperature != 0 && ask.Dialect is not EmbeddingsDialect) return null;
        var text = new ArrayBufferWriter<byte>();
        var project = options.IsPerKey ? null : caller.Account?.Project;
        // Another file under a model's name gives other answers.
        var version = ask.Route.Model is LocalModel local ? local.Modified.UtcTicks + local.FileBytes : 0;
        string[] parts = [project is null ? "key" : "project", project ?? caller.Account?.Key ?? caller.Id, ask.Dialect.Path, ask.Route.Model.Id, version.ToString(CultureInfo.InvariantCulture)];
        foreach (var part in parts) text.Write(Encoding.UTF8.GetBytes(part + "\n"));
        return RequestFingerprint.TryWriteQuestion(ask.Client.Body, text) ? Convert.ToHexStringLower(SHA256.HashData(text.WrittenSpan)) : null;
    }

    /// <summary>The answer to a question; null where there is none, or it is too old.</summary>
    public CachedAnswer? Find(string key)
    {
        lock (_lock)
        {
            if (!_byKey.TryGetValue(key, out var node)) return null;
            if (time.GetUtcNow() < node.Value.Until) return node.Value;
            Remove(node);
            return null;
        }
    }

    /// <summary>Takes over an answer that has ended, if it is whole, regular and no longer than <see cref="Limits.CachedAnswerBytes"/>.</summary>
    public void Add(Answer answer)
    {
        if (answer.CacheKey is not var (key, options, modelId)) return;
        var record = answer.Record;
        if (answer.Log.End is not { Kind: StreamEndKind.Completed } || record is not { Usage: { } usage, IsUsageEstimated: false, RescueCount: 0 }) return;
        // A fallback's answer is not the model's.
        if (record.LastEntry?.Model != modelId || record.Hold?.Cut is not null) return;
        if (ReadEvents(answer) is not { } events || !IsRegular(answer.Owner.Dialect, events)) return;
        var cached = new CachedAnswer(key, answer.Id, events, usage, time.GetUtcNow() + options.Time, record.Hold?.Subject);
        lock (_lock)
        {
            if (_byKey.TryGetValue(key, out var older)) Remove(older);
            _byKey[key] = _byAge.AddLast(cached);
            _bytes += SizeOf(cached);
            while (_bytes > limits.CachedBytesMax) Remove(_byAge.First!);
        }
    }

    /// <summary>Forgets what was made for a person.</summary>
    /// <param name="subject">As in the ledger.</param>
    public void Forget(string subject)
    {
        lock (_lock)
        {
            for (var node = _byAge.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.Subject == subject) Remove(node);
                node = next;
            }
        }
    }

    private void Remove(LinkedListNode<CachedAnswer> node)
    {
        _byKey.Remove(node.Value.Key);
        _byAge.Remove(node);
        _bytes -= SizeOf(node.Value);
    }

    private static long SizeOf(CachedAnswer cached)
    {
        const int Overhead = 512;
        return cached.Events.WrittenCount + Overhead;
    }

    private EventBuffer? ReadEvents(Answer answer)
    {
        if (answer.Log.FirstEvent > 0) return null;
        using var reader = answer.Log.TryOpenReader();
        var events = new EventBuffer();
        while (reader?.TryRead(events, limits.ReadBatchBytes, events.AddEvent) == ReadOutcome.Events)
            if (events.WrittenCount > limits.CachedAnswerBytes) return null;
        return events.Count == answer.Log.EventCount ? events : null;
    }

    // Every door has a word of its own for an answer that its model has ended.
    private static bool IsRegular(AnswerDialect dialect, EventBuffer events)
    {
        var fold = dialect.CreateFold();
        for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
        fold.End();
        if (fold.Error is not null) return false;
        var json = new ArrayBufferWriter<byte>();
        fold.WriteTo(json);
        using var document = JsonDocument.Parse(json.WrittenMemory);
        var root = document.RootElement;
        if (root.TryGetProperty("choices"u8, out var choices))
            return choices.EnumerateArray().All(static choice => IsOneOf(choice, "finish_reason", "stop", "tool_calls", "function_call"));
        if (root.TryGetProperty("stop_reason"u8, out _)) return IsOneOf(root, "stop_reason", "end_turn", "stop_sequence", "tool_use");
        return dialect is EmbeddingsDialect || IsOneOf(root, "status", "completed");
    }

    private static bool IsOneOf(JsonElement element, string name, params ReadOnlySpan<string> words) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && words.Contains(value.GetString());
}

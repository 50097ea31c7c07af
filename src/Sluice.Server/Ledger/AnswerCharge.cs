using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Ledger;

/// <summary>
/// Who is charged for an answer, and what was settled of it so far. It stands beside the answer where several hubs share a database, so that
/// the one that goes on with it charges the rest, and nothing twice. Amounts are nano-dollars, times Unix milliseconds.
/// </summary>
internal sealed record AnswerCharge
{
    /// <summary>The ledger whose hub wrote this.</summary>
    public required string Ledger { get; init; }

    /// <summary>See <see cref="AnswerRow.Key"/>.</summary>
    public required string Key { get; init; }

    /// <summary>See <see cref="AnswerRow.Project"/>.</summary>
    public string? Project { get; init; }

    /// <summary>Id of the model that makes it.</summary>
    public required string Model { get; init; }

    /// <summary>See <see cref="AnswerRow.PricedAs"/>.</summary>
    public string? PricedAs { get; init; }

    /// <summary>See <see cref="AnswerRow.PaysAttempts"/>.</summary>
    public bool PaysAttempts { get; init; }

    /// <summary>Tokens of the prompt, or an estimate of them.</summary>
    public long PromptTokens { get; init; }

    /// <summary>See <see cref="AnswerRow.Tags"/>.</summary>
    public string Tags { get; init; } = "";

    /// <summary>When it was asked for.</summary>
    public long AskedAt { get; init; }

    /// <summary>Settled before the hub that wrote this had the answer: those rows are in other ledgers.</summary>
    public ChargeSum Before { get; init; } = new();

    /// <summary>Settled by now, <see cref="Before"/> included.</summary>
    public ChargeSum Settled { get; init; } = new();

    public string Write() => JsonSerializer.Serialize(this, AnswerChargeContext.Default.AnswerCharge);

    /// <summary>Null for what is none.</summary>
    public static AnswerCharge? TryRead(string? text)
    {
        try
        {
            return text is null ? null : JsonSerializer.Deserialize(text, AnswerChargeContext.Default.AnswerCharge);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>What was settled of an answer up to some moment.</summary>
internal sealed record ChargeSum
{
    /// <summary>Rows of attempts.</summary>
    public int Rows { get; init; }

    /// <summary>Revision of the answer's row.</summary>
    public int Revision { get; init; }

    public int Prompt { get; init; }

    public int Cached { get; init; }

    public int CacheWritten { get; init; }

    public int Output { get; init; }

    public int Reasoning { get; init; }

    public long ChargeNanoUsd { get; init; }

    public long CostNanoUsd { get; init; }

    [JsonIgnore]
    public AnswerUsage Usage
    {
        get => new(Prompt, Cached, Output, Reasoning) { CacheWrittenTokens = CacheWritten };
        init => (Prompt, Cached, CacheWritten, Output, Reasoning) =
            (value.PromptTokens, value.CachedTokens, value.CacheWrittenTokens, value.CompletionTokens, value.ReasoningTokens);
    }
}

/// <summary>Writes and reads charges without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(AnswerCharge))]
internal sealed partial class AnswerChargeContext : JsonSerializerContext;

/// <summary>An answer that another hub has taken over, so that this ledger keeps what was settled by then, and nothing more.</summary>
/// <param name="Id">Of the answer.</param>
/// <param name="Charge">As it stood beside the answer at that moment.</param>
internal sealed record MovedAnswer(string Id, AnswerCharge Charge);

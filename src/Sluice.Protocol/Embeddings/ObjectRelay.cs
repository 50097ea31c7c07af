using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Embeddings;

/// <summary>Passes an object on as an upstream gave it, but for the name of a model that has another one here.</summary>
/// <param name="answer">What is known of the answer.</param>
/// <param name="list">The member that it must have, an array.</param>
/// <param name="what">What that holds, for errors.</param>
internal sealed class ObjectRelay(RelayOptions answer, byte[] list, string what) : AnswerRelay
{
    private static readonly byte[] s_modelName = "\"model\""u8.ToArray();

    /// <inheritdoc/>
    public override bool IsFinished => false;

    /// <inheritdoc/>
    public override bool HasAnswer => false;

    /// <inheritdoc/>
    public override bool HasUsage => false;

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output) => Fail(
        new ApiError(502, $"The upstream sent a stream where {what} were asked for.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output) => Fail(
        new ApiError(502, $"The upstream's answer holds no {what}.", ApiErrors.ServerErrorType, null, "upstream_invalid_answer"));

    /// <inheritdoc/>
    public override bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole)
    {
        whole = null!;
        json = json.Trim(" \t\r\n\uFEFF"u8);
        try
        {
            var root = new JsonObjectText();
            if (root.Read(json, 0) != json.Length || root.TypeOf(root.Find(json, list)) != JsonTokenType.StartArray) return false;
            var model = root.Find(json, "model"u8);
            if (!answer.KeepsUpstreamModel && root.Text(json, model) != answer.Model) root.Set(model, s_modelName, Quote(answer.Model));
            var output = new ArrayBufferWriter<byte>(json.Length + 64);
            root.WriteTo(output, json);
            var stated = ReadUsage(json, root);
            whole = new WholeAnswer(output.WrittenMemory, stated ?? ReadUsage(), IsUsageEstimated: stated is null);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public override void WriteEnd(IEventOutput output)
    {
        // There is nothing before the object.
    }

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() => new(answer.EstimatedPromptTokens, 0, 0);

    private static AnswerUsage? ReadUsage(ReadOnlySpan<byte> json, JsonObjectText root)
    {
        var usage = root.Find(json, "usage"u8);
        if (root.TypeOf(usage) != JsonTokenType.StartObject) return null;
        var counts = new JsonObjectText();
        counts.Read(json, root.ValueStart(usage));
        var prompt = counts.Integer(json, counts.Find(json, "prompt_tokens"u8)) ?? counts.Integer(json, counts.Find(json, "total_tokens"u8));
        return prompt is >= 0 and <= int.MaxValue ? new AnswerUsage((int)prompt, 0, 0) : null;
    }

    private static ReadOnlyMemory<byte> Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenMemory;
    }
}

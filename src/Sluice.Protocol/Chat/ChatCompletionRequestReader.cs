using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>
/// Parses and validates the body of <c>/v1/chat/completions</c>. Unknown keys are accepted. Of several faults one is told, always the
/// same: JSON, model, messages there, then each parameter in the order in which the API checks them, and last what concerns two
/// parameters or messages at once.
/// </summary>
public static class ChatCompletionRequestReader
{
    /// <summary>Reads one request. Never throws for what the body contains.</summary>
    /// <param name="body">The whole body; not kept.</param>
    /// <param name="request">The request, whose JSON is its own.</param>
    /// <param name="error">A 400 with its parameter.</param>
    public static bool TryRead(
        ReadOnlySequence<byte> body,
        [NotNullWhen(true)] out ChatCompletionRequest? request,
        [NotNullWhen(false)] out ApiError? error)
    {
        request = null;
        if (!JsonBody.TryParse(body, out var document))
        {
            error = ApiErrors.UnparsableBody();
            return false;
        }

        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                error = ApiErrors.BodyNotAnObject(ApiErrors.Describe(root));
                return false;
            }

            var parameters = new ParameterReader(root);
            var read = Read(parameters);
            error = parameters.Error;
            request = error is null ? read : null;
            return error is null;
        }
    }

    // The order is the API's, as measured by others with bodies that are wrong twice.
    private static ChatCompletionRequest Read(ParameterReader parameters)
    {
        var model = ReadModel(parameters);
        if (parameters.Find("messages") is null) parameters.Fail(ApiErrors.MissingParameter("messages"));
        var messages = ChatMessagesReader.Read(parameters);
        var functions = ToolParameters.ReadFunctions(parameters);
        var functionCall = ToolParameters.ReadFunctionCall(parameters, functions);
        var tools = ToolParameters.ReadTools(parameters);
        var toolChoice = ToolParameters.ReadToolChoice(parameters, tools);
        var parallelToolCalls = parameters.Boolean("parallel_tool_calls") ?? true;
        var maxCompletionTokens = ReadTokenLimit(parameters, "max_completion_tokens");
        var maxTokens = ReadTokenLimit(parameters, "max_tokens");
        var n = parameters.Integer("n", 1, ProtocolLimits.ChoicesMax);
        var stop = ReadStop(parameters);
        var temperature = parameters.Decimal("temperature", 0, 2);
        var topP = parameters.Decimal("top_p", 0, 1);
        var topK = parameters.Integer("top_k", -1, ProtocolLimits.TopKMax);
        var minP = parameters.Decimal("min_p", 0, 1);
        var presencePenalty = parameters.Decimal("presence_penalty", -2, 2);
        var frequencyPenalty = parameters.Decimal("frequency_penalty", -2, 2);
        var repetitionPenalty = parameters.Decimal("repetition_penalty", 0, ProtocolLimits.RepetitionPenaltyMax, minIsExcluded: true);
        var logitBias = ReadLogitBias(parameters);
        var logprobs = parameters.Boolean("logprobs");
        var topLogprobs = parameters.Integer("top_logprobs", 0, ProtocolLimits.TopLogprobsMax);
        var user = parameters.Text("user");
        var seed = parameters.Integer("seed", long.MinValue, long.MaxValue);
        _ = parameters.Text("safety_identifier", ProtocolLimits.NameLengthMax);
        _ = parameters.Text("prompt_cache_key");
        var serviceTier = parameters.Choice("service_tier", ["auto", "default", "fast", "flex", "priority", "scale"]);
        var stream = parameters.Boolean("stream") ?? false;
        var streamOptions = parameters.Find("stream_options", JsonValueKind.Object, "an object");
        var includeUsage = ReadStreamOptions(parameters, streamOptions);
        _ = parameters.Boolean("store");
        var metadata = ReadMetadata(parameters);
        var responseSchema = ReadResponseFormat(parameters) ?? GuidedParameters.Read(parameters);

        var continuesMessage = parameters.Boolean("continue_final_message") ?? false;
        var introducesAnswer = parameters.Boolean("add_generation_prompt");

        if (continuesMessage && introducesAnswer == true) parameters.Fail(ApiErrors.ContinuesAndBegins());
        if (streamOptions is not null && !stream) parameters.Fail(ApiErrors.OnlyAllowedWhenEnabled("stream_options", "stream"));
        if (topLogprobs is not null && logprobs != true) parameters.Fail(ApiErrors.OnlyAllowedWhenEnabled("top_logprobs", "logprobs"));
        if (parameters.Error is null) parameters.Fail(ConversationRules.FindFault(messages));
        if (continuesMessage && parameters.Error is null && !ConversationRules.CanContinue(messages[^1])) parameters.Fail(ApiErrors.NothingToContinue());

        return new ChatCompletionRequest
        {
            Model = model,
            Messages = messages,
            Stream = stream,
            IncludeUsage = includeUsage,
            MaxTokens = (int?)(maxCompletionTokens ?? maxTokens),
            Temperature = temperature,
            TopP = topP,
            TopK = topK is { } count ? (int)long.Max(count, 0) : null,
            MinP = minP,
            RepetitionPenalty = repetitionPenalty,
            N = (int)(n ?? 1),
            Stop = stop,
            Seed = seed,
            PresencePenalty = presencePenalty ?? 0,
            FrequencyPenalty = frequencyPenalty ?? 0,
            LogitBias = logitBias,
            Logprobs = logprobs ?? false,
            TopLogprobs = (int)(topLogprobs ?? 0),
            User = user,
            Metadata = metadata,
            ServiceTier = serviceTier,
            Tools = tools?.Clone(),
            ToolChoice = toolChoice?.Clone(),
            Functions = functions?.Clone(),
            FunctionCall = functionCall?.Clone(),
            ParallelToolCalls = parallelToolCalls,
            ResponseSchema = responseSchema is null ? null : responseSchema with { Schema = responseSchema.Schema?.Clone() },
            AsksForAudio = AsksForAudio(parameters),
            ContinuesMessage = continuesMessage,
            IntroducesAnswer = introducesAnswer ?? !continuesMessage,
            TemplateVariables = ReadTemplateVariables(parameters),
        };
    }

    internal static string ReadModel(ParameterReader parameters)
    {
        var model = parameters.Text("model", ProtocolLimits.ModelNameLengthMax);
        if (string.IsNullOrEmpty(model)) parameters.Fail(ApiErrors.MissingModel());
        return model ?? "";
    }

    // Empty strings are dropped: forms send one for an empty field, and it would end every answer before it begins.
    internal static List<string> ReadStop(ParameterReader parameters)
    {
        if (parameters.Find("stop") is not { } value) return [];
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return ReadStopText(parameters, value, "stop") is { Length: > 0 } single ? [single] : [];
            case JsonValueKind.Array:
                break;
            default:
                parameters.Fail(ApiErrors.InvalidType("stop", "one of a string or array of strings", ApiErrors.Describe(value)));
                return [];
        }

        var count = value.GetArrayLength();
        const int Max = ProtocolLimits.StopSequencesMax;
        if (count > Max) parameters.Fail(ApiErrors.ArrayTooLong("stop", Max, count));
        var stop = new List<string>();
        for (var i = 0; i < count && parameters.Error is null; i++)
        {
            if (ReadStopText(parameters, value[i], $"stop[{i}]") is { Length: > 0 } text) stop.Add(text);
        }

        return stop;
    }

    private static string? ReadStopText(ParameterReader parameters, JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            parameters.Fail(ApiErrors.InvalidType(path, "a string", ApiErrors.Describe(value)));
            return null;
        }

        var text = value.GetString()!;
        if (text.Length > ProtocolLimits.StopSequenceLengthMax)
        {
            parameters.Fail(ApiErrors.StringTooLong(path, ProtocolLimits.StopSequenceLengthMax, text.Length));
        }

        return text;
    }

    internal static Dictionary<int, int> ReadLogitBias(ParameterReader parameters)
    {
        var biases = new Dictionary<int, int>();
        if (parameters.Find("logit_bias", JsonValueKind.Object, "an object") is not { } map) return biases;
        var count = map.GetPropertyCount();
        if (count > ProtocolLimits.LogitBiasEntriesMax)
        {
            parameters.Fail(ApiErrors.TooManyProperties("logit_bias", ProtocolLimits.LogitBiasEntriesMax, count));
            return biases;
        }

        foreach (var entry in map.EnumerateObject())
        {
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var token))
            {
                parameters.Fail(ApiErrors.InvalidTokenId(entry.Name));
                break;
            }

            const int Max = ProtocolLimits.LogitBiasMax;
            parameters.Fail(ParameterReader.CheckInteger(entry.Value, $"logit_bias.{token}", -Max, Max, out var bias));
            biases[token] = (int)bias;
        }

        return biases;
    }

    internal static bool ReadStreamOptions(ParameterReader parameters, JsonElement? found)
    {
        if (found is not { } value) return false;
        var options = new ParameterReader(value, "stream_options");
        var includeUsage = options.Boolean("include_usage") ?? false;
        _ = options.Boolean("include_obfuscation");
        parameters.Fail(options.Error);
        return includeUsage;
    }

    private static Dictionary<string, string> ReadMetadata(ParameterReader parameters)
    {
        var metadata = new Dictionary<string, string>();
        if (parameters.Find("metadata", JsonValueKind.Object, "a metadata object") is not { } map) return metadata;
        var count = map.GetPropertyCount();
        if (count > ProtocolLimits.MetadataPairsMax)
        {
            parameters.Fail(ApiErrors.TooManyProperties("metadata", ProtocolLimits.MetadataPairsMax, count));
            return metadata;
        }

        foreach (var pair in map.EnumerateObject())
        {
            var length = JsonStrings.CountCharacters(pair.Name);
            if (length > ProtocolLimits.MetadataKeyLengthMax)
            {
                parameters.Fail(ApiErrors.PropertyNameTooLong("metadata", pair.Name, ProtocolLimits.MetadataKeyLengthMax, length));
                break;
            }

            var path = $"metadata.{pair.Name}";
            if (pair.Value.ValueKind != JsonValueKind.String)
            {
                parameters.Fail(ApiErrors.InvalidType(path, "a string", ApiErrors.Describe(pair.Value)));
                break;
            }

            var value = pair.Value.GetString()!;
            length = JsonStrings.CountCharacters(value);
            if (length > ProtocolLimits.MetadataValueLengthMax)
            {
                parameters.Fail(ApiErrors.StringTooLong(path, ProtocolLimits.MetadataValueLengthMax, length));
                break;
            }

            metadata[pair.Name] = value;
        }

        return metadata;
    }

    private static ResponseSchema? ReadResponseFormat(ParameterReader parameters)
    {
        if (parameters.Find("response_format", JsonValueKind.Object, "an object") is not { } value) return null;
        var format = new ParameterReader(value, "response_format");
        if (format.Find("type") is null) format.Fail(ApiErrors.MissingParameter("response_format.type"));
        var type = format.Choice("type", ["json_object", "json_schema", "text"]);
        // llama.cpp and Together take a schema here.
        ResponseSchema? result = type != "json_object" ? null
            : format.Find("schema") is { ValueKind: JsonValueKind.Object } given ? new ResponseSchema(type, given) : new ResponseSchema("", null);
        if (type == "json_schema" && format.Require("json_schema", JsonValueKind.Object, "an object") is { } definition)
        {
            var named = new ParameterReader(definition, "response_format.json_schema");
            ToolParameters.CheckName(named);
            _ = named.Text("description");
            var schema = named.Find("schema", JsonValueKind.Object, "an object");
            var isStrict = named.Boolean("strict") == true;
            format.Fail(named.Error);
            result = new ResponseSchema(named.Text("name") ?? "", schema) { IsStrict = isStrict };
        }

        parameters.Fail(format.Error);
        return result;
    }

    // -1 is "no limit" in llama.cpp and others.
    internal static long? ReadTokenLimit(ParameterReader parameters, string name, int min = 1) =>
        parameters.Find(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var limit) && limit == -1
            ? null : parameters.Integer(name, min, int.MaxValue);

    private static Dictionary<string, JsonElement> ReadTemplateVariables(ParameterReader parameters)
    {
        var variables = new Dictionary<string, JsonElement>();
        if (parameters.Find("chat_template_kwargs", JsonValueKind.Object, "an object") is { } given)
        {
            if (given.GetPropertyCount() > ProtocolLimits.TemplateVariablesMax)
                parameters.Fail(ApiErrors.TooManyProperties("chat_template_kwargs", ProtocolLimits.TemplateVariablesMax, given.GetPropertyCount()));
            else
                foreach (var variable in given.EnumerateObject()) variables[variable.Name] = variable.Value.Clone();
        }

        // Whatever word it is: the template knows which ones it takes.
        if (parameters.Find("reasoning_effort") is { ValueKind: JsonValueKind.String } effort) variables.TryAdd("reasoning_effort", effort.Clone());

        // The short form of Alibaba's API and others.
        if (parameters.Boolean("enable_thinking") is { } thinks) variables.TryAdd("enable_thinking", JsonElement.Parse(thinks ? "true" : "false"));
        return variables;
    }

    private static bool AsksForAudio(ParameterReader parameters)
    {
        if (parameters.Find("modalities") is not { ValueKind: JsonValueKind.Array } modalities) return false;
        foreach (var modality in modalities.EnumerateArray())
        {
            if (modality.ValueKind == JsonValueKind.String && modality.ValueEquals("audio"u8)) return true;
        }

        return false;
    }
}

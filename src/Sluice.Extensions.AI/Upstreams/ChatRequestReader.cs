using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI.Upstreams;

/// <summary>Reads the body of a chat completion. What <see cref="ChatOptions"/> has no place for goes into its additional properties.</summary>
internal static class ChatRequestReader
{
    /// <param name="body">JSON.</param>
    /// <param name="asked">What it says.</param>
    /// <param name="problem">A sentence for the client of the hub.</param>
    public static bool TryRead(ReadOnlyMemory<byte> body, [NotNullWhen(true)] out AskedChat? asked, [NotNullWhen(false)] out string? problem)
    {
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 512 });
            asked = Read(document.RootElement);
            problem = null;
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or ArgumentException)
        {
            (asked, problem) = (null, $"The request can't be read: {exception.Message}");
            return false;
        }
        catch (NotSupportedException exception)
        {
            (asked, problem) = (null, exception.Message);
            return false;
        }
    }

    private static AskedChat Read(JsonElement root)
    {
        var options = new ChatOptions();
        List<ChatMessage> messages = [];
        var (model, isStream) = ("", false);
        foreach (var member in root.EnumerateObject())
        {
            var value = member.Value;
            if (value.ValueKind == JsonValueKind.Null) continue;
            switch (member.Name)
            {
                case "model":
                    model = value.GetString()!;
                    break;
                case "stream":
                    isStream = value.GetBoolean();
                    break;
                case "messages":
                    messages = [.. value.EnumerateArray().Select(ChatMessageReader.Read)];
                    break;
                case "n" when value.GetInt32() != 1:
                    throw new NotSupportedException("This model of the application gives one choice; leave 'n' out.");
                case "logprobs" when value.ValueKind == JsonValueKind.True:
                    throw new NotSupportedException("This model of the application has no log probabilities; leave 'logprobs' out.");
                case "n" or "logprobs" or "stream_options":
                    break;
                default:
                    if (!TryReadOption(member.Name, value, root, options)) (options.AdditionalProperties ??= [])[member.Name] = value.Clone();
                    break;
            }
        }
        return new AskedChat(model, isStream, messages, options);
    }

    private static bool TryReadOption(string name, JsonElement value, JsonElement root, ChatOptions options)
    {
        switch (name)
        {
            case "temperature":
                options.Temperature = value.GetSingle();
                return true;
            case "top_p":
                options.TopP = value.GetSingle();
                return true;
            case "top_k":
                options.TopK = value.GetInt32();
                return true;
            case "max_tokens" or "max_completion_tokens":
                options.MaxOutputTokens = value.GetInt32();
                return true;
            case "frequency_penalty":
                options.FrequencyPenalty = value.GetSingle();
                return true;
            case "presence_penalty":
                options.PresencePenalty = value.GetSingle();
                return true;
            case "seed":
                options.Seed = value.GetInt64();
                return true;
            case "stop":
                options.StopSequences = value.ValueKind == JsonValueKind.String ? [value.GetString()!] : [.. value.EnumerateArray().Select(static stop => stop.GetString()!)];
                return true;
            case "parallel_tool_calls":
                options.AllowMultipleToolCalls = value.GetBoolean();
                return true;
            case "reasoning_effort":
                options.Reasoning = new ReasoningOptions { Effort = EffortOf(value.GetString()!) };
                return true;
            case "response_format":
                options.ResponseFormat = ReadFormat(value);
                return true;
            case "tools":
                options.Tools = [.. value.EnumerateArray().Select(ReadTool)];
                return true;
            case "tool_choice":
                // Without tools it says nothing.
                if (root.TryGetProperty("tools", out var tools) && tools.ValueKind == JsonValueKind.Array && tools.GetArrayLength() > 0) options.ToolMode = ReadMode(value);
                return true;
            default:
                return false;
        }
    }

    private static ReasoningEffort EffortOf(string word) => word switch
    {
        "none" => ReasoningEffort.None,
        "minimal" or "low" => ReasoningEffort.Low,
        "medium" => ReasoningEffort.Medium,
        "high" => ReasoningEffort.High,
        "xhigh" or "max" => ReasoningEffort.ExtraHigh,
        _ => throw new NotSupportedException($"The 'reasoning_effort' '{word}' is unknown; say none, low, medium, high or xhigh."),
    };

    private static ChatResponseFormat ReadFormat(JsonElement format)
    {
        var type = format.GetProperty("type").GetString();
        if (type == "text") return ChatResponseFormat.Text;
        if (type == "json_object") return ChatResponseFormat.Json;
        if (type != "json_schema") throw new NotSupportedException($"The response format '{type}' is unknown; say text, json_object or json_schema.");
        var schema = format.GetProperty("json_schema");
        return ChatResponseFormat.ForJsonSchema(
            schema.GetProperty("schema").Clone(),
            schema.TryGetProperty("name", out var name) ? name.GetString() : null,
            schema.TryGetProperty("description", out var description) ? description.GetString() : null);
    }

    private static AITool ReadTool(JsonElement tool)
    {
        if (tool.GetProperty("type").GetString() is not "function" and var type) throw new NotSupportedException($"This model of the application takes functions as tools, not '{type}'.");
        var function = tool.GetProperty("function");
        var schema = function.TryGetProperty("parameters", out var parameters) && parameters.ValueKind == JsonValueKind.Object ? parameters.Clone() : Empty();
        return AIFunctionFactory.CreateDeclaration(
            function.GetProperty("name").GetString()!, function.TryGetProperty("description", out var description) ? description.GetString() : null, schema, returnJsonSchema: null);
    }

    private static JsonElement Empty()
    {
        using var document = JsonDocument.Parse("""{"type":"object","properties":{}}""");
        return document.RootElement.Clone();
    }

    private static ChatToolMode ReadMode(JsonElement choice)
    {
        if (choice.ValueKind == JsonValueKind.Object) return ChatToolMode.RequireSpecific(choice.GetProperty("function").GetProperty("name").GetString()!);
        return choice.GetString() switch
        {
            "none" => ChatToolMode.None,
            "required" or "any" => ChatToolMode.RequireAny,
            _ => ChatToolMode.Auto,
        };
    }
}

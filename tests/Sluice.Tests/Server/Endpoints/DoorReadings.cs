using System.Text.Json.Nodes;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>What requests and answers of each dialect say, in words that are the same for all of them. Nothing here is the hub's own code.</summary>
internal static class DoorReadings
{
    /// <summary>A request as an upstream of the dialect understands it.</summary>
    public static List<string> ReadRequest(string dialect, JsonNode body)
    {
        var said = new List<string>();
        switch (dialect)
        {
            case "chat":
                foreach (var message in body["messages"]!.AsArray()) ReadChatMessage(said, message!);
                foreach (var tool in Array(body["tools"])) said.Add($"tool {tool["function"]!["name"]} {tool["function"]!["parameters"]!.ToJsonString()}");
                if (body["response_format"] is { } format) said.Add($"format {format["json_schema"]!["schema"]!.ToJsonString()}");
                break;
            case "responses":
                foreach (var item in body["input"]!.AsArray()) ReadItem(said, item!);
                foreach (var tool in Array(body["tools"])) said.Add($"tool {tool["name"]} {tool["parameters"]!.ToJsonString()}");
                if (body["text"]?["format"] is { } text) said.Add($"format {text["schema"]!.ToJsonString()}");
                break;
            default:
                foreach (var block in Array(body["system"])) said.Add($"system {block["text"]}");
                foreach (var message in body["messages"]!.AsArray()) ReadBlocks(said, message!);
                foreach (var tool in Array(body["tools"])) said.Add($"tool {tool["name"]} {tool["input_schema"]!.ToJsonString()}");
                if (body["output_config"]?["format"] is { } output) said.Add($"format {output["schema"]!.ToJsonString()}");
                break;
        }
        return said;
    }

    /// <summary>A whole answer as a client of the dialect understands it.</summary>
    public static List<string> ReadAnswer(string dialect, JsonNode answer)
    {
        var said = new List<string>();
        switch (dialect)
        {
            case "chat":
                var message = answer["choices"]![0]!["message"]!;
                Say(said, "thinks", (string?)message["reasoning_content"]);
                Say(said, "says", (string?)message["content"]);
                Say(said, "says", (string?)message["refusal"]);
                foreach (var call in Array(message["tool_calls"])) said.Add($"call {call["function"]!["name"]} {call["function"]!["arguments"]}");
                said.Add("end " + (string?)answer["choices"]![0]!["finish_reason"] switch { "tool_calls" => "calls", "content_filter" => "filter", { } reason => reason, null => "" });
                said.Add($"usage {answer["usage"]!["prompt_tokens"]} {answer["usage"]!["completion_tokens"]}");
                break;
            case "responses":
                foreach (var item in answer["output"]!.AsArray()) ReadOutput(said, item!);
                var isCall = answer["output"]!.AsArray().Any(item => (string?)item!["type"] == "function_call");
                said.Add("end " + ((string?)answer["incomplete_details"]?["reason"] switch { "max_output_tokens" => "length", "content_filter" => "filter", _ => isCall ? "calls" : "stop" }));
                said.Add($"usage {answer["usage"]!["input_tokens"]} {answer["usage"]!["output_tokens"]}");
                break;
            default:
                foreach (var block in answer["content"]!.AsArray())
                {
                    Say(said, "thinks", (string?)block!["thinking"]);
                    Say(said, "says", (string?)block["text"]);
                    if (block["input"] is { } input) said.Add($"call {block["name"]} {input.ToJsonString()}");
                }
                said.Add("end " + (string?)answer["stop_reason"] switch { "tool_use" => "calls", "max_tokens" => "length", "refusal" => "filter", "end_turn" => "stop", { } reason => reason, null => "" });
                var usage = answer["usage"]!;
                said.Add($"usage {(int)usage["input_tokens"]! + ((int?)usage["cache_read_input_tokens"] ?? 0) + ((int?)usage["cache_creation_input_tokens"] ?? 0)} {usage["output_tokens"]}");
                break;
        }
        return said;
    }

    /// <summary>The answer that a stream's events make, as the vendor's SDK puts them together.</summary>
    public static JsonNode Fold(string dialect, IReadOnlyList<JsonNode> events)
    {
        if (dialect == "responses") return events[^1]["response"]!.DeepClone();
        return dialect == "chat" ? FoldChunks(events) : FoldBlocks(events);
    }

    private static void ReadChatMessage(List<string> said, JsonNode message)
    {
        var role = (string)message["role"]!;
        if (role == "tool") said.Add($"result {message["tool_call_id"]} {TextOf(message["content"])}");
        else if (message["content"] is JsonArray parts) foreach (var part in parts) said.Add((string?)part!["type"] == "text" ? $"{role} {part["text"]}" : $"image {part["image_url"]!["url"]}");
        else if ((string?)message["content"] is { Length: > 0 } text) said.Add($"{role} {text}");
        foreach (var call in Array(message["tool_calls"])) said.Add($"call {call["id"]} {call["function"]!["name"]} {call["function"]!["arguments"]}");
    }

    private static void ReadItem(List<string> said, JsonNode item)
    {
        switch ((string?)item["type"])
        {
            case "function_call":
                said.Add($"call {item["call_id"]} {item["name"]} {item["arguments"]}");
                break;
            case "function_call_output":
                said.Add($"result {item["call_id"]} {TextOf(item["output"])}");
                break;
            default:
                if (item["content"] is JsonArray parts) foreach (var part in parts) said.Add(part!["text"] is { } words ? $"{item["role"]} {words}" : $"image {part["image_url"]}");
                else said.Add($"{item["role"]} {item["content"]}");
                break;
        }
    }

    private static void ReadBlocks(List<string> said, JsonNode message)
    {
        foreach (var block in message["content"]!.AsArray())
        {
            said.Add((string)block!["type"]! switch
            {
                "tool_use" => $"call {block["id"]} {block["name"]} {block["input"]!.ToJsonString()}",
                "tool_result" => $"result {block["tool_use_id"]} {TextOf(block["content"])}",
                "image" => $"image data:{block["source"]!["media_type"]};base64,{block["source"]!["data"]}",
                _ => $"{message["role"]} {block["text"]}",
            });
        }
    }

    private static void ReadOutput(List<string> said, JsonNode item)
    {
        switch ((string?)item["type"])
        {
            case "reasoning":
                foreach (var part in Array(item["summary"]).Concat(Array(item["content"]))) Say(said, "thinks", (string?)part["text"]);
                break;
            case "function_call":
                said.Add($"call {item["name"]} {item["arguments"]}");
                break;
            default:
                foreach (var part in Array(item["content"])) Say(said, "says", (string?)part["text"] ?? (string?)part["refusal"]);
                break;
        }
    }

    private static JsonObject FoldChunks(IReadOnlyList<JsonNode> events)
    {
        var (message, calls, answer) = (new JsonObject { ["role"] = "assistant" }, new JsonArray(), new JsonObject());
        var choice = new JsonObject { ["message"] = message };
        foreach (var chunk in events)
        {
            if (chunk["usage"] is { } usage) answer["usage"] = usage.DeepClone();
            if (Array(chunk["choices"]).FirstOrDefault() is not { } only) continue;
            if (only["finish_reason"] is { } finish) choice["finish_reason"] = finish.DeepClone();
            foreach (var name in (string[])["content", "refusal", "reasoning_content"])
            {
                if ((string?)only["delta"]![name] is { Length: > 0 } more) message[name] = (string?)message[name] + more;
            }
            // Members of the hub's own come whole.
            if (only["delta"]!["sluice"] is { } ours) message["sluice"] = ours.DeepClone();
            foreach (var piece in Array(only["delta"]!["tool_calls"]))
            {
                if ((int)piece["index"]! == calls.Count) calls.Add(piece.DeepClone());
                else calls[(int)piece["index"]!]!["function"]!["arguments"] = (string?)calls[(int)piece["index"]!]!["function"]!["arguments"] + (string?)piece["function"]!["arguments"];
            }
        }
        message["tool_calls"] = calls;
        answer["choices"] = new JsonArray(choice);
        return answer;
    }

    private static JsonObject FoldBlocks(IReadOnlyList<JsonNode> events)
    {
        var message = events[0]["message"]!.DeepClone().AsObject();
        var (blocks, inputs) = (new JsonArray(), new Dictionary<int, string>());
        foreach (var data in events)
        {
            switch ((string)data["type"]!)
            {
                case "content_block_start":
                    blocks.Add(data["content_block"]!.DeepClone());
                    break;
                case "content_block_delta":
                    var (index, delta) = ((int)data["index"]!, data["delta"]!);
                    foreach (var name in (string[])["text", "thinking", "signature"])
                    {
                        if ((string?)delta[name] is { } more) blocks[index]![name] = (string?)blocks[index]![name] + more;
                    }
                    if ((string?)delta["partial_json"] is { } json) inputs[index] = inputs.GetValueOrDefault(index) + json;
                    break;
                case "message_delta":
                    foreach (var (name, value) in data["delta"]!.AsObject()) message[name] = value?.DeepClone();
                    foreach (var (name, value) in data["usage"]!.AsObject()) message["usage"]![name] = value?.DeepClone();
                    break;
            }
        }
        foreach (var (index, json) in inputs) blocks[index]!["input"] = JsonNode.Parse(json);
        message["content"] = blocks;
        return message;
    }

    private static void Say(List<string> said, string verb, string? text)
    {
        if (text is { Length: > 0 }) said.Add($"{verb} {text}");
    }

    private static string TextOf(JsonNode? content) => content is JsonArray parts ? string.Concat(parts.Select(part => (string?)part!["text"])) : (string?)content ?? "";

    private static IEnumerable<JsonNode> Array(JsonNode? node) => node is JsonArray array ? array.OfType<JsonNode>() : [];
}

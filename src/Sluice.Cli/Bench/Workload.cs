using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Bench;

/// <summary>The requests of a measurement. The same seed, number and run give the same request.</summary>
internal sealed class Workload
{
    // Each is one token, with the space before it, in the vocabularies of today's models.
    private static readonly string[] s_words =
        ("time people way water day man thing world life hand part child eye woman place work week case point government company number group problem fact "
        + "house land light night sea tree road river stone music paper book word line name story king city market winter summer morning table door window "
        + "machine engine field school doctor letter bread glass horse ship island bridge garden forest mountain cloud star fire metal salt gold").Split(' ');

    private readonly IReadOnlyList<JsonObject> _file;
    private readonly JsonObject _extra;
    private readonly LengthDistribution _prompt;
    private readonly LengthDistribution? _output;
    private readonly string _prefix;
    private readonly int _seed;

    private Workload(IReadOnlyList<JsonObject> file, JsonObject extra, LengthDistribution prompt, LengthDistribution? output, int prefixTokens, int seed)
    {
        (_file, _extra, _prompt, _output, _seed) = (file, extra, prompt, output, seed);
        _prefix = prefixTokens == 0 ? "" : Words(new Random(seed), prefixTokens) + "\n";
    }

    /// <summary>Prompts of random words.</summary>
    /// <param name="prompt">Words of a prompt, beside the prefix.</param>
    /// <param name="output">Goes out as <c>max_tokens</c>; null sends none.</param>
    /// <param name="prefixTokens">Words that all prompts begin with.</param>
    /// <param name="extra">Merged into every body: null removes a member (RFC 7396).</param>
    /// <param name="seed">Of the draws.</param>
    public static Workload Random(LengthDistribution prompt, LengthDistribution? output, int prefixTokens, JsonObject extra, int seed) =>
        new([], extra, prompt, output, prefixTokens, seed);

    /// <summary>Prompts of a file, in its order and from the beginning again; see <see cref="ReadFile"/>.</summary>
    public static Workload FromFile(IReadOnlyList<JsonObject> lines, LengthDistribution? output, JsonObject extra, int seed) =>
        new(lines, extra, LengthDistribution.Parse("1")!, output, 0, seed);

    /// <summary>Reads a file of JSON lines: each is the body of a request, with <c>messages</c>, or has a <c>prompt</c>.</summary>
    /// <exception cref="CliException">A line is neither; the message names it.</exception>
    public static IReadOnlyList<JsonObject> ReadFile(string path)
    {
        var lines = new List<JsonObject>();
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            JsonObject? body;
            try
            {
                body = JsonNode.Parse(line) as JsonObject;
            }
            catch (JsonException)
            {
                body = null;
            }
            if (body?["messages"] is not JsonArray && (body?["prompt"] as JsonValue)?.GetValueKind() != JsonValueKind.String)
                throw new CliException($"{path}:{number} is not a JSON object with 'messages' or with a text 'prompt'.");
            if (body!["prompt"] is JsonValue prompt && body["messages"] is null)
            {
                var text = prompt.GetValue<string>();
                body.Remove("prompt");
                body["messages"] = Messages(text);
            }
            lines.Add(body);
        }
        return lines.Count > 0 ? lines : throw new CliException($"{path} has no prompts.");
    }

    /// <summary>The body of one request as UTF-8 JSON.</summary>
    /// <param name="number">Of the request, from 0. It decides the lengths, and the line of a file.</param>
    /// <param name="run">Of the run: each has words of its own, for a server that has read them before need not read them again.</param>
    /// <param name="model">Whose answer is asked for.</param>
    public byte[] BodyOf(int number, int run, string model)
    {
        var random = new Random(HashCode(_seed, number));
        var body = _file.Count > 0
            ? (JsonObject)_file[number % _file.Count].DeepClone()
            : new JsonObject { ["messages"] = Messages(_prefix + Words(new Random(HashCode(_seed + run, ~number)), _prompt.Draw(random))), ["temperature"] = 0 };
        body["model"] = model;
        body["stream"] = true;
        body["stream_options"] = new JsonObject { ["include_usage"] = true };
        if (_output is not null) body["max_tokens"] = _output.Draw(random);
        Merge(body, _extra);
        return Encoding.UTF8.GetBytes(body.ToJsonString());
    }

    private static JsonArray Messages(string text) => new((JsonNode)new JsonObject { ["role"] = "user", ["content"] = text });

    private static string Words(Random random, int count)
    {
        var text = new StringBuilder(count * 6);
        for (var i = 0; i < count; i++) text.Append(i == 0 ? "" : " ").Append(s_words[random.Next(s_words.Length)]);
        return text.ToString();
    }

    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach (var (name, value) in patch)
        {
            if (value is null) target.Remove(name);
            else if (value is JsonObject inner && target[name] is JsonObject old) Merge(old, inner);
            else target[name] = value.DeepClone();
        }
    }

    // System.HashCode differs from process to process.
    private static int HashCode(int seed, int number) => unchecked((int)((((ulong)(uint)seed << 32) | (uint)number) * 0x9E3779B97F4A7C15 >> 32));
}

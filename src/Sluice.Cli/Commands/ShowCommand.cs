using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Inference.Sampling;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>Says what is known of one model: from its file, or where it runs.</summary>
internal static class ShowCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new Argument<string>("MODEL") { Description = "an id that 'sluice models' lists, or a GGUF file" }.NotAnOption();
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command = new Command("show", "Show the details of a model") { model, config, models, json };
        command.SetAction(result =>
        {
            var lookup = ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models));
            var name = result.GetRequiredValue(model);
            var facts = lookup.CreateCatalog().Find(name) is UpstreamModel upstream ? Describe(upstream) : Describe(LocalModelLookup.Find(lookup, name));
            Write(terminal, facts, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    private static List<(string Name, object Value)> Describe(UpstreamModel model) =>
    [
        ("id", model.Id),
        ("aliases", string.Join(", ", model.Aliases)),
        .. model.Route.Upstreams.Select(static upstream => ("upstream", (object)upstream.Url)),
        ("fallbacks", string.Join(", ", model.Fallbacks)),
        ("retries", (long)model.Route.Retries),
    ];

    private static List<(string Name, object Value)> Describe(LocalModel model)
    {
        try
        {
            using var file = GgufFile.Open(model.Path);
            var metadata = file.Metadata;
            var architecture = metadata.GetString("general.architecture");
            var weights = file.Tensors.Values.GroupBy(static tensor => tensor.Type).ToDictionary(static same => same.Key, static same => same.Sum(static tensor => tensor.RowLength * tensor.RowCount));
            return
            [
                ("id", model.Id),
                ("aliases", string.Join(", ", model.Aliases)),
                ("name", metadata.FindString("general.name") ?? ""),
                ("path", model.Path),
                ("size", ByteSize.Format(model.FileBytes)),
                ("architecture", architecture),
                ("parameters", weights.Values.Sum()),
                ("weights", weights.MaxBy(static pair => pair.Value).Key.ToString()),
                ("context", metadata.GetInteger($"{architecture}.context_length", 0)),
                ("license", metadata.FindString("general.license") ?? ""),
                ("chat template", metadata.Contains("tokenizer.chat_template") ? "its own" : "ChatML, because the file has none"),
                ("defaults", Describe(model.Defaults.Or(ModelProbe.ReadSampling(model.Path)))),
                ("can be served", FindFault(model) ?? "yes"),
            ];
        }
        catch (GgufException exception)
        {
            throw new CliException(exception.Message, exception);
        }
    }

    private static string? FindFault(LocalModel model)
    {
        try
        {
            ModelProbe.Check(model.Path);
            return null;
        }
        catch (GgufException exception)
        {
            return $"no: {exception.Message}";
        }
    }

    private static string Describe(SamplingDefaults defaults)
    {
        (string Name, double? Value)[] values =
        [
            ("temperature", defaults.Temperature), ("top_p", defaults.TopP), ("top_k", defaults.TopK), ("min_p", defaults.MinP),
            ("repetition_penalty", defaults.RepetitionPenalty), ("max_tokens", defaults.MaxTokens),
        ];
        var known = values.Where(static value => value.Value is not null).Select(static value => string.Create(CultureInfo.InvariantCulture, $"{value.Name} {value.Value:0.####}")).ToList();
        return known.Count > 0 ? string.Join(", ", known) : "those of the API";
    }

    private static void Write(Terminal terminal, List<(string Name, object Value)> facts, bool asJson)
    {
        facts.RemoveAll(static fact => fact.Value is "");
        if (asJson)
        {
            Listing.WriteJson(terminal.Output, json => WriteJson(json, facts));
            return;
        }

        var width = facts.Max(static fact => fact.Name.Length);
        foreach (var (name, value) in facts)
            terminal.Output.WriteLine($"{name.PadRight(width)}  {(value is long number ? number.ToString("N0", CultureInfo.InvariantCulture) : value)}");
    }

    private static void WriteJson(Utf8JsonWriter json, List<(string Name, object Value)> facts)
    {
        json.WriteStartObject();
        foreach (var same in facts.GroupBy(static fact => fact.Name))
        {
            json.WritePropertyName(same.Key.Replace(' ', '_'));
            if (same.Count() > 1 || same.Key == "upstream")
            {
                json.WriteStartArray();
                foreach (var (_, value) in same) json.WriteStringValue((string)value);
                json.WriteEndArray();
            }
            else if (same.First().Value is long number) json.WriteNumberValue(number);
            else json.WriteStringValue((string)same.First().Value);
        }

        json.WriteEndObject();
    }
}

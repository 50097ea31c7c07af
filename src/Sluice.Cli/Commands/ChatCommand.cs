using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using Sluice.Cli.Chat;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Gguf;
using Sluice.Inference.Sampling;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>Talks to a model in this process, without a server.</summary>
internal static class ChatCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new Argument<string?>("MODEL")
        {
            Description = "an id that 'sluice models' lists, or a GGUF file; not needed if there is only one model",
            Arity = ArgumentArity.ZeroOrOne,
        }.NotAnOption();
        var system = new Option<string?>("--system") { Description = "the system message", HelpName = "TEXT" };
        var maxTokens = new Option<int?>("--max-tokens")
        {
            Description = "the token limit of an answer; default is the room left in the context",
            HelpName = "N",
            CustomParser = result => Number<int>(result, 1, int.MaxValue, "a whole number from 1"),
        };
        var temperature = new Option<float?>("--temperature")
        {
            Description = "0 always takes the likeliest token; default is 0.7",
            HelpName = "T",
            CustomParser = result => Number<float>(result, 0, 2, "a number from 0 to 2"),
        };
        var seed = new Option<ulong?>("--seed")
        {
            Description = "the same seed gives the same answers",
            HelpName = "N",
            CustomParser = result => Number(result, ulong.MinValue, ulong.MaxValue, "a whole number from 0"),
        };
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var command = new Command("chat", "Talk to a model in the terminal") { model, system, maxTokens, temperature, seed, config, models };
        command.SetAction(async (result, _) =>
        {
            var lookup = ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models));
            using var engine = Load(FindFile(lookup, result.GetValue(model)));
            return await new ChatSession(terminal, engine, new ChatOptions
            {
                SystemMessage = result.GetValue(system),
                MaxTokens = result.GetValue(maxTokens),
                Sampling = new SamplingParameters
                {
                    Temperature = result.GetValue(temperature) ?? 0.7f,
                    Seed = result.GetValue(seed) ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
                },
            }).RunAsync();
        });
        return command;
    }

    private static T? Number<T>(ArgumentResult result, T min, T max, string expected)
        where T : struct, INumber<T>
    {
        var text = result.Tokens[0].Value;
        if (T.TryParse(text, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max)
        {
            return number;
        }

        result.AddError($"{((OptionResult)result.Parent!).Option.Name} is {expected}, not '{text}'");
        return null;
    }

    private static string FindFile(ConfigurationLookup lookup, string? name)
    {
        if (name is not null && name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && File.Exists(name))
        {
            return name;
        }

        var catalog = lookup.CreateCatalog();
        var local = catalog.Models.OfType<LocalModel>().ToList();
        var ids = string.Join(", ", local.Select(model => model.Id));
        return (name, local) switch
        {
            (null, [var only]) => only.Path,
            (null, [_, ..]) => throw new CliException($"There are several models; name one of them: {ids}."),
            (not null, _) when catalog.Find(name) is LocalModel model => model.Path,
            (not null, _) when catalog.Find(name) is not null =>
                throw new CliException($"The model '{name}' runs on an upstream server; 'sluice chat' talks only to local models. Ask it through 'sluice serve'."),
            (_, []) => throw new CliException(ModelsCommand.NoModels(lookup.Folders)),
            _ => throw new CliException($"There is no model '{name}'; the models are: {ids}."),
        };
    }

    private static InferenceEngine Load(string path)
    {
        try
        {
            return InferenceEngine.Load(path);
        }
        catch (GgufException exception)
        {
            throw new CliException(exception.Message, exception);
        }
        catch (OutOfMemoryException exception)
        {
            throw new CliException($"{path} doesn't fit into memory: {exception.Message}", exception);
        }
    }
}

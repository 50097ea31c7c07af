using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using Sluice.Cli.Chat;
using Sluice.Inference.Sampling;

namespace Sluice.Cli.Commands;

/// <summary>Talks to a model in this process, without a server: <c>chat</c> until the user leaves, <c>run</c> also for one question.</summary>
internal static class ChatCommand
{
    private sealed record Options(
        Option<string?> System, Option<int?> MaxTokens, Option<double?> Temperature, Option<ulong?> Seed, Option<string?> Config, Option<string?> Models, EngineFlags Engine)
    {
        public void AddTo(Command command)
        {
            foreach (var option in (Option[])[System, MaxTokens, Temperature, Seed, Config, Models]) command.Add(option);
            Engine.AddTo(command);
        }
    }

    public static Command Create(Terminal terminal)
    {
        var model = new Argument<string?>("MODEL")
        {
            Description = "an id that 'sluice models' lists, or a GGUF file; not needed if there is only one model",
            Arity = ArgumentArity.ZeroOrOne,
        }.NotAnOption();
        var options = CreateOptions();
        var command = new Command("chat", "Talk to a model in the terminal") { model };
        options.AddTo(command);
        command.SetAction((result, _) => RunAsync(terminal, result, options, result.GetValue(model), null));
        return command;
    }

    public static Command CreateRun(Terminal terminal)
    {
        var model = new Argument<string>("MODEL") { Description = "an id that 'sluice models' lists, or a GGUF file" }.NotAnOption();
        var question = new Argument<string[]>("QUESTION")
        {
            Description = "what to ask, once; without it the question is the input, or a chat begins",
            Arity = ArgumentArity.ZeroOrMore,
        }.NotAnOption();
        var options = CreateOptions();
        var command = new Command("run", "Ask a model one question") { model, question };
        options.AddTo(command);
        command.SetAction((result, _) => RunAsync(terminal, result, options, result.GetValue(model), result.GetValue(question) is { Length: > 0 } words ? string.Join(' ', words) : null));
        return command;
    }

    private static Options CreateOptions() => new(
        new("--system") { Description = "the system message", HelpName = "TEXT" },
        new("--max-tokens")
        {
            Description = "the token limit of an answer; default is the model's, or the room left in the context",
            HelpName = "N",
            CustomParser = result => Number<int>(result, 1, int.MaxValue, "a whole number from 1"),
        },
        new("--temperature")
        {
            Description = "0 always takes the likeliest token; default is the model's, or 0.7",
            HelpName = "T",
            CustomParser = result => Number<double>(result, 0, 2, "a number from 0 to 2"),
        },
        new("--seed")
        {
            Description = "the same seed gives the same answers",
            HelpName = "N",
            CustomParser = result => Number(result, ulong.MinValue, ulong.MaxValue, "a whole number from 0"),
        },
        CommonOptions.Config(),
        CommonOptions.Models(),
        new EngineFlags(hasKeepAlive: false));

    private static async Task<int> RunAsync(Terminal terminal, ParseResult result, Options options, string? name, string? question)
    {
        var lookup = ConfigurationLookup.Load(terminal, result.GetValue(options.Config), result.GetValue(options.Models));
        ChatModel Load(string? wanted)
        {
            var model = options.Engine.Apply(result, LocalModelLookup.Find(lookup, wanted));
            var engine = LocalModelLookup.Load(model);
            return new ChatModel(engine, model.Defaults.Or(engine.Model.Sampling));
        }

        using var session = new ChatSession(terminal, Load(name), Load, new ChatOptions
        {
            SystemMessage = result.GetValue(options.System),
            Settings = new SamplingDefaults { MaxTokens = result.GetValue(options.MaxTokens), Temperature = result.GetValue(options.Temperature) },
            Seed = result.GetValue(options.Seed) ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
        });
        return await session.RunAsync(question);
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
}

using System.CommandLine;
using System.Globalization;
using Sluice.Inference.Transformer;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>Options of how the local engine runs models; what is given counts for each of them, before the configuration.</summary>
/// <param name="hasKeepAlive">Whether models come and go: a command that runs one keeps it.</param>
internal sealed class EngineFlags(bool hasKeepAlive)
{
    private readonly Option<int?> _context = Whole(
        "--context", EngineSection.ContextMin, EngineSection.ContextMax, "the most tokens of prompt and answer together; default is the configuration's, or the model's");

    private readonly Option<int?> _threads = Whole(
        "--threads", 1, EngineSection.ThreadsMax, "how many threads compute; default is the configuration's, or the number of processors");

    private readonly Option<KvCacheType?> _cacheType = new("--cache-type")
    {
        Description = "in what a context is kept: f16, or q8_0, which takes half the memory; default is the configuration's, or f16",
        HelpName = "TYPE",
        CustomParser = static result =>
        {
            if (EngineSection.TryParseCacheType(result.Tokens[0].Value, out var type)) return type;
            result.AddError($"--cache-type must be f16 or q8_0, not '{result.Tokens[0].Value}'");
            return null;
        },
    };

    private readonly Option<string?> _keepAlive = new("--keep-alive")
    {
        Description = "how long a model stays in memory when nobody uses it, such as 5m; default is the configuration's, or as long as its memory is not needed",
        HelpName = "TIME",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_context);
        command.Add(_cacheType);
        command.Add(_threads);
        if (!hasKeepAlive) return;
        _keepAlive.Validators.Add(static result =>
        {
            if (result.Tokens is [var token] && !EngineSection.TryParseKeepAlive(token.Value, out _))
                result.AddError($"--keep-alive is {EngineSection.KeepAliveWords}, not '{token.Value}'");
        });
        command.Add(_keepAlive);
    }

    /// <summary>The model as the command line wants it to be run.</summary>
    public LocalModel Apply(ParseResult result, LocalModel model)
    {
        var keepAlive = hasKeepAlive && result.GetValue(_keepAlive) is { } text && EngineSection.TryParseKeepAlive(text, out var time) ? time : model.KeepAlive;
        return model with
        {
            Context = result.GetValue(_context) ?? model.Context,
            Threads = result.GetValue(_threads) ?? model.Threads,
            CacheType = result.GetValue(_cacheType) ?? model.CacheType,
            KeepAlive = keepAlive,
        };
    }

    private static Option<int?> Whole(string name, int min, int max, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return number;
            result.AddError($"{name} is a whole number from {min} to {max}, not '{text}'");
            return null;
        },
    };
}

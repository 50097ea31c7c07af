using System.CommandLine;
using System.Globalization;
using System.Text;
using Sluice.Server.Models;
using Sluice.Server.Prices;

namespace Sluice.Cli.Commands;

/// <summary>Makes a price list out of a public one, for a person to look at and keep, and checks the one that there is.</summary>
internal static class PricesCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new Command("prices", "Check the price list, or make one from a public list");
        command.Subcommands.Add(CreateCheck(terminal));
        command.Subcommands.Add(CreateImport(terminal));
        return command;
    }

    private static Command CreateCheck(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var command = new Command("check", "Show what each model costs, and which has no price; exit code 1 where one has none") { config };
        command.SetAction(result =>
        {
            var lookup = ConfigurationLookup.Load(terminal, result.GetValue(config), null);
            var listing = new Listing("MODEL", "INPUT", "CACHED", "CACHE WRITE", "OUTPUT");
            var missing = new List<string>();
            foreach (var model in lookup.CreateCatalog().Models)
            {
                if (!lookup.Options.Prices.Models.TryGetValue(model.Id, out var price))
                {
                    missing.Add(model.Id);
                    continue;
                }

                var tier = price.TierOf(0);
                listing.Add(static _ => { }, model.Id, Text(tier.Input), Text(tier.Cached), Text(tier.CacheWrite), Text(tier.Output));
            }

            listing.Write(terminal, asJson: false);
            if (missing.Count == 0) return ExitCodes.Success;
            terminal.Error.WriteLine($"sluice: no price: {string.Join(", ", missing)}");
            return ExitCodes.Incomplete;
        });
        return command;
    }

    private static Command CreateImport(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var file = new Argument<string>("FILE") { Description = "LiteLLM's model_prices_and_context_window.json, or the JSON of genai-prices" }.NotAnOption();
        var output = new Option<string>("--output", "-o") { Description = "the file to write; default is prices.yaml", HelpName = "FILE", DefaultValueFactory = static _ => "prices.yaml" };
        var yes = new Option<bool>("--yes") { Description = "accept prices that are ten times another than before" };
        var command = new Command("import", "Write a price list of the configuration's models") { file, output, yes, config };
        command.SetAction(result =>
        {
            var lookup = ConfigurationLookup.Load(terminal, result.GetValue(config), null);
            var path = result.GetRequiredValue(file);
            var listed = Read(path);
            var (lines, faults, jumps, missing) = (new StringBuilder(), new List<string>(), new List<string>(), new List<string>());
            foreach (var model in lookup.CreateCatalog().Models)
            {
                if (model is LocalModel) lines.Append(CultureInfo.InvariantCulture, $"  {model.Id}: free\n");
                else if (Find(listed, (UpstreamModel)model) is not { } price) missing.Add(model.Id);
                else if (PriceImport.FindFault(price) is { } fault) faults.Add($"{model.Id}: {fault}");
                else
                {
                    if (lookup.Options.Prices.Models.TryGetValue(model.Id, out var before) && IsJump(before, price)) jumps.Add(model.Id);
                    lines.Append(CultureInfo.InvariantCulture, $"  {model.Id}: {Format(price)}\n");
                }
            }

            if (faults.Count > 0) throw new CliException($"{path} has prices that can't be right: {string.Join("; ", faults)}.");
            if (jumps.Count > 0 && !result.GetValue(yes))
                throw new CliException($"Prices are ten times or a tenth of what they were: {string.Join(", ", jumps)}; look at them, and say --yes where they are right.");
            var date = terminal.Time.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
            var target = result.GetRequiredValue(output);
            File.WriteAllText(target, $"# From {Path.GetFileName(path)}, {date}. Dollars per million tokens. Look at it before you use it.\nversion: {date}\nsource: {Path.GetFileName(path)}\nmodels:\n{lines}");
            terminal.Error.WriteLine($"{target} is written.{(missing.Count == 0 ? "" : $" These models are not in {Path.GetFileName(path)}: {string.Join(", ", missing)}.")}");
            return missing.Count == 0 ? ExitCodes.Success : ExitCodes.Incomplete;
        });
        return command;
    }

    private static Dictionary<string, ListedPrice> Read(string path)
    {
        if (!File.Exists(path)) throw new CliException($"There is no file {path}.");
        try
        {
            return PriceImport.Read(File.ReadAllBytes(path));
        }
        catch (FormatException exception)
        {
            throw new CliException($"{path} is not a list of prices: {exception.Message}.", exception);
        }
    }

    // By the model's own name, or what it is called at its first upstream.
    private static ListedPrice? Find(Dictionary<string, ListedPrice> listed, UpstreamModel model) =>
        listed.GetValueOrDefault(model.Route.Upstreams[0].Model ?? model.Id) ?? listed.GetValueOrDefault(model.Id);

    private static bool IsJump(ModelPrice before, ListedPrice price)
    {
        var input = before.TierOf(0).Input / 1_000_000m;
        return input > 0 && (price.Input >= 10 * input || price.Input * 10 <= input);
    }

    private static string Format(ListedPrice price)
    {
        var tier = price.Dearer is { } dearer && price.Above is { } above
            ? string.Create(CultureInfo.InvariantCulture, $", tiers: [{{above: {above}{Members(dearer, ", ")}}}]") : "";
        return $"{{{Members(price, "")}{tier}}}";
    }

    private static string Members(ListedPrice price, string before)
    {
        (string Name, decimal? Amount)[] all = [("input", price.Input), ("cached", price.Cached), ("cache_write", price.CacheWrite), ("output", price.Output)];
        var members = string.Join(", ", all.Where(static member => member.Amount is not null).Select(static member => string.Create(CultureInfo.InvariantCulture, $"{member.Name}: {member.Amount:0.#########}")));
        return members.Length == 0 ? "" : before + members;
    }

    private static string Text(long picoPerToken) => (picoPerToken / 1_000_000m).ToString("0.######", CultureInfo.InvariantCulture);
}

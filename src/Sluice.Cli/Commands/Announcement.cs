using System.Globalization;
using Sluice.Cli.Pull;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Commands;

/// <summary>What <c>sluice serve</c> says when it serves: a few short lines, the first with the address.</summary>
internal static class Announcement
{
    private const int NamesMax = 5;

    /// <param name="url">Where the hub listens.</param>
    /// <param name="options">Whether there are keys, and how long answers can run at the end.</param>
    /// <param name="catalog">At least one model.</param>
    /// <param name="drain">How long answers can run when the hub stops.</param>
    public static string Write(string url, SluiceOptions options, ModelCatalog catalog, TimeSpan drain)
    {
        var address = url.Replace("[::]", "127.0.0.1", StringComparison.Ordinal).Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal);
        var lines = new List<string>
        {
            $"Sluice serves at {address}",
            $"Models: {Names(catalog)}",
            $"For OpenAI clients: OPENAI_BASE_URL={address}/v1 OPENAI_API_KEY={(options.ApiKeys.Count > 0 ? "KEY" : "unused")}; see docs/http-api.md and 'sluice help'",
            string.Create(CultureInfo.InvariantCulture, $"Ctrl-C stops it; running answers have {drain.TotalSeconds:0.#} s to end, a second Ctrl-C ends them"),
        };
        if (options.Console) lines.Insert(2, $"Console: {address}/");
        if (catalog.Models.OfType<LocalModel>().FirstOrDefault(static model => KnownModels.IsDemonstration(Path.GetFileName(model.Path))) is { } demonstration)
            lines.Add($"{demonstration.Id} is a tiny demonstration and often wrong; for a useful model: sluice pull {KnownModels.Useful(MachineMemory.Bytes).Name}");
        return string.Join('\n', lines);
    }

    private static string Names(ModelCatalog catalog)
    {
        var names = string.Join(", ", catalog.Models.Take(NamesMax).Select(static model => model.Id));
        return catalog.Models.Count > NamesMax ? $"{names} and {catalog.Models.Count - NamesMax} more" : names;
    }
}

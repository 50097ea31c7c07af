using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Commands;

/// <summary>Asks a running hub which models are in memory and how many requests they answer. Its source is the hub's <c>/metrics</c>.</summary>
internal static partial class PsCommand
{
    private const string Loaded = "sluice_model_loaded";
    private const string InFlight = "sluice_requests_in_flight";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    public static Command Create(Terminal terminal)
    {
        var url = new Option<string?>("--url") { Description = "where the hub is; default is the configuration's first address", HelpName = "URL" };
        var config = CommonOptions.Config();
        var json = CommonOptions.Json();
        var command = new Command("ps", "List what a running hub has loaded and answers") { url, config, json };
        command.SetAction(async (result, cancellation) =>
        {
            var lookup = ConfigurationLookup.Load(terminal, result.GetValue(config), null);
            var metrics = await ReadAsync(AddressOf(lookup.Options, result.GetValue(url)), lookup.Options.ApiKeys, cancellation);
            List(metrics).Write(terminal, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    private static Uri AddressOf(SluiceOptions options, string? url)
    {
        if (url is not null)
        {
            return Uri.TryCreate(url.TrimEnd('/'), UriKind.Absolute, out var given) && given.Scheme is "http" or "https"
                ? given
                : throw new CliException($"--url is an http or https address, such as {ListenAddress.Default}, not '{url}'.");
        }

        var address = options.Listen[0];
        if (address.Port == 0) throw new CliException("The configuration lets the hub take a free port; say which one with --url.");
        return new Uri((address.IsWildcard ? address with { Host = "127.0.0.1", IsHttp2 = false } : address with { IsHttp2 = false }).ToString());
    }

    private static async Task<string> ReadAsync(Uri address, IReadOnlyList<ApiKey> keys, CancellationToken cancellation)
    {
        var place = address.GetLeftPart(UriPartial.Authority);
        using var http = new HttpClient { Timeout = s_patience };
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(address, "/metrics"));
        if (keys.Count > 0) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", keys[0].Key);
        try
        {
            using var response = await http.SendAsync(request, cancellation);
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                throw new CliException($"The hub at {place} needs an API key; name its configuration with --config, or set SLUICE_API_KEYS.");
            var text = await response.Content.ReadAsStringAsync(cancellation);
            return response.IsSuccessStatusCode && text.Contains("sluice_", StringComparison.Ordinal) ? text : throw new CliException($"What answers at {place} is not a Sluice hub; name the hub with --url.");
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new CliException($"No hub answers at {place}; start one with 'sluice serve', or name it with --url.", exception);
        }
    }

    private static Listing List(string metrics)
    {
        var (loaded, running) = (ByModel(metrics, Loaded), ByModel(metrics, InFlight));
        var listing = new Listing("MODEL", "STATE", "RUNNING");
        foreach (var model in loaded.Keys.Union(running.Keys).Order(StringComparer.Ordinal))
        {
            var requests = (long)running.GetValueOrDefault(model);
            var state = !loaded.TryGetValue(model, out var isLoaded) ? "upstream" : isLoaded > 0 ? "loaded" : "not loaded";
            listing.Add(
                json =>
                {
                    json.WriteString("model"u8, model);
                    json.WriteString("state"u8, state);
                    json.WriteNumber("running"u8, requests);
                },
                model, state, requests.ToString(CultureInfo.InvariantCulture));
        }

        return listing;
    }

    private static Dictionary<string, double> ByModel(string metrics, string name) => Sample().Matches(metrics)
        .Where(match => match.Groups["name"].Value == name)
        .GroupBy(static match => match.Groups["model"].Value)
        .ToDictionary(
            static same => same.Key,
            static same => same.Sum(static match => double.TryParse(match.Groups["value"].Value, CultureInfo.InvariantCulture, out var value) ? value : 0));

    [GeneratedRegex("""^(?<name>[a-z_]+)\{[^}\n]*gen_ai_request_model="(?<model>[^"]*)"[^}\n]*\} (?<value>\S+)""", RegexOptions.Multiline)]
    private static partial Regex Sample();
}

using System.Collections.Concurrent;

namespace Sluice.Inference.Grammars.Patterns;

/// <summary>The values of <c>format</c> that strings can be held to, as whole patterns.</summary>
internal static class StringFormats
{
    private const string Date = "(" + Year + "-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|"
        + LeapYear + "-02-29)";

    private const string Year = "[0-9]{4}";
    private const string LeapYear = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
    private const string Hour = "([01][0-9]|2[0-3])";
    private const string Sixty = "[0-5][0-9]";
    private const string Time = Hour + ":" + Sixty + ":" + Sixty + "(\\.[0-9]{1,9})?(Z|[+\\-]" + Hour + ":" + Sixty + ")";
    private const string Seconds = "[0-9]{1,9}S";
    private const string Minutes = "[0-9]{1,9}M(" + Seconds + ")?";
    private const string DurationTime = "T([0-9]{1,9}H(" + Minutes + ")?|" + Minutes + "|" + Seconds + ")";
    private const string Days = "[0-9]{1,9}D";
    private const string Months = "[0-9]{1,9}M(" + Days + ")?";
    private const string DurationDate = "([0-9]{1,9}Y(" + Months + ")?|" + Months + "|" + Days + ")";
    private const string Atom = "[A-Za-z0-9!#$%&'*+/=?\\^_`{|}~\\-]{1,32}";

    // Eight labels of 30 keep within the 253 characters of a name.
    private const string Label = "[A-Za-z0-9]([A-Za-z0-9\\-]{0,28}[A-Za-z0-9])?";
    private const string Octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private const string Group = "[0-9A-Fa-f]{1,4}";

    /// <summary>The names that are known.</summary>
    public static IReadOnlyList<string> Names { get; } = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

    private static readonly ConcurrentDictionary<string, PatternDfa> s_compiled = new();

    /// <summary>The pattern of a format, or null. Each is compiled once.</summary>
    public static PatternDfa? Find(string name) => Text(name) is { } text
        ? s_compiled.GetOrAdd(name, static (_, pattern) => PatternDfa.Compile(PatternParser.ParseWhole(pattern), new PatternBudget())!, text)
        : null;

    private static string? Text(string name) => name switch
    {
        "date" => Date,
        "time" => Time,
        "date-time" => Date + "T" + Time,
        "duration" => "P([0-9]{1,9}W|" + DurationDate + "(" + DurationTime + ")?|" + DurationTime + ")",
        "email" => Atom + "(\\." + Atom + ")?@(" + Label + "\\.){1,7}" + Label,
        "hostname" => Label + "(\\." + Label + "){0,7}",
        "ipv4" => Octet + "(\\." + Octet + "){3}",
        "ipv6" => Ipv6,
        "uuid" => "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        _ => null,
    };

    // Eight groups, or up to seven around one run of zeros that is left out.
    private static string Ipv6
    {
        get
        {
            var forms = new List<string> { $"({Group}:){{7}}{Group}", "::" };
            for (int before = 0; before <= 7; before++)
            {
                string head = before == 0 ? "" : before == 1 ? Group : $"({Group}:){{{before - 1}}}{Group}";
                int after = 7 - before;
                string tail = after == 0 ? "" : $"({Group}(:{Group}){{0,{after - 1}}})?";
                forms.Add(head + "::" + tail);
            }

            return "(" + string.Join('|', forms) + ")";
        }
    }
}

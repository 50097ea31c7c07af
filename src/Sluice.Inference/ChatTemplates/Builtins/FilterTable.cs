using System.Collections.Frozen;
using Sluice.Inference.ChatTemplates.Runtime;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>A filter: what stands after <c>|</c>.</summary>
internal delegate TemplateValue Filter(RenderState state, TemplateValue input, CallArguments arguments);

/// <summary>The filters of Jinja, with <c>tojson</c> as transformers defines it, and <c>from_json</c>.</summary>
internal static class FilterTable
{
    private static readonly FrozenDictionary<string, Filter> Table = Build().ToFrozenDictionary(StringComparer.Ordinal);

    public static Filter? Find(string name) => Table.GetValueOrDefault(name);

    private static Dictionary<string, Filter> Build() => new()
    {
        ["tojson"] = JsonFilters.ToJson,
        ["from_json"] = JsonFilters.FromJson,

        ["string"] = TextFilters.ToText,
        ["safe"] = TextFilters.ToText,
        ["trim"] = TextFilters.Trim,
        ["upper"] = TextFilters.Upper,
        ["lower"] = TextFilters.Lower,
        ["capitalize"] = TextFilters.Capitalize,
        ["title"] = TextFilters.Title,
        ["replace"] = TextFilters.Replace,
        ["indent"] = TextFilters.Indent,
        ["center"] = TextFilters.Center,
        ["truncate"] = TextFilters.Truncate,
        ["format"] = TextFilters.Format,
        ["escape"] = TextFilters.Escape,
        ["e"] = TextFilters.Escape,
        ["forceescape"] = TextFilters.Escape,
        ["urlencode"] = TextFilters.EncodeUrl,
        ["wordcount"] = TextFilters.CountWords,

        ["length"] = SequenceFilters.Length,
        ["count"] = SequenceFilters.Length,
        ["join"] = SequenceFilters.Join,
        ["list"] = SequenceFilters.ToList,
        ["first"] = SequenceFilters.First,
        ["last"] = SequenceFilters.Last,
        ["reverse"] = SequenceFilters.Reverse,
        ["items"] = SequenceFilters.Items,
        ["dictsort"] = SequenceFilters.SortMapping,
        ["sort"] = SequenceFilters.Sort,
        ["unique"] = SequenceFilters.Unique,
        ["min"] = SequenceFilters.Min,
        ["max"] = SequenceFilters.Max,
        ["sum"] = SequenceFilters.Sum,
        ["batch"] = GroupingFilters.Batch,
        ["slice"] = GroupingFilters.Slice,
        ["groupby"] = GroupingFilters.GroupBy,

        ["map"] = SelectionFilters.Map,
        ["select"] = SelectionFilters.Select,
        ["reject"] = SelectionFilters.Reject,
        ["selectattr"] = SelectionFilters.SelectByAttribute,
        ["rejectattr"] = SelectionFilters.RejectByAttribute,

        ["default"] = ValueFilters.Default,
        ["d"] = ValueFilters.Default,
        ["attr"] = ValueFilters.Attribute,
        ["int"] = ValueFilters.ToInteger,
        ["float"] = ValueFilters.ToFloat,
        ["abs"] = ValueFilters.Absolute,
        ["round"] = ValueFilters.Round,
    };
}

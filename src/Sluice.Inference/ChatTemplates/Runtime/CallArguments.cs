using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>The evaluated arguments of one call. Names may be a user's, by <c>**mapping</c>, and so carry marks.</summary>
internal sealed record CallArguments(
    IReadOnlyList<TemplateValue> Positional, IReadOnlyList<KeyValuePair<TextValue, TemplateValue>> Named)
{
    public static readonly CallArguments Empty = new([], []);

    /// <summary>The arguments without the first <paramref name="count"/> positional ones.</summary>
    public CallArguments Skip(int count) => this with { Positional = [.. Positional.Skip(count)] };

    /// <summary>Assigns the arguments to parameters, in order or by name.</summary>
    /// <exception cref="ChatTemplateException">Too many arguments, or one that no parameter takes.</exception>
    public BoundArguments Bind(RenderState state, string callee, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Count > parameters.Length)
        {
            throw state.Fail($"'{callee}' takes at most {parameters.Length} arguments, {Positional.Count} given");
        }

        var values = new TemplateValue?[parameters.Length];
        for (int i = 0; i < Positional.Count; i++)
        {
            values[i] = Positional[i];
        }

        foreach (var (name, value) in Named)
        {
            int index = parameters.IndexOf(name.Text);
            if (index < 0) throw state.Fail($"'{callee}' takes no argument named '{name.Text}'");
            if (values[index] is not null) throw state.Fail($"'{callee}' got two values for '{name.Text}'");
            values[index] = value;
        }

        return new BoundArguments(state, callee, values);
    }
}

/// <summary>Arguments by parameter; an absent one is null.</summary>
internal sealed class BoundArguments(RenderState state, string callee, TemplateValue?[] values)
{
    public TemplateValue? this[int index] => values[index];

    public TemplateValue Require(int index) => values[index] ?? throw state.Fail($"'{callee}' needs {index + 1} arguments");

    public bool IsTrue(int index, bool fallback = false) => values[index]?.IsTrue ?? fallback;

    public long RequireInteger(int index) => ToInteger(Require(index));

    public long Integer(int index, long fallback) => values[index] is { } value ? ToInteger(value) : fallback;

    public TextValue RequireText(int index) => ToText(Require(index));

    /// <summary>Null when absent or none.</summary>
    public TextValue? Text(int index) => values[index] is null or NoneValue ? null : ToText(values[index]!);

    private long ToInteger(TemplateValue value) =>
        Numbers.TryGetInteger(value, out long integer) ? integer : throw state.Fail($"'{callee}' needs an integer, not '{value.TypeName}'");

    private TextValue ToText(TemplateValue value) =>
        value as TextValue ?? throw state.Fail($"'{callee}' needs a string, not '{value.TypeName}'");
}

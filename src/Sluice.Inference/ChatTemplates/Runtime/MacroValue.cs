using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>A macro and the scope that it was defined in.</summary>
internal sealed class MacroValue(Interpreter interpreter, MacroDefinition definition, Scope closure) : CallableValue
{
    internal override string TypeName => "Macro";

    public override TemplateValue Invoke(RenderState state, CallArguments arguments) =>
        interpreter.CallMacro(definition, closure, arguments);
}

/// <summary>Binds a call's arguments to a macro's parameters.</summary>
internal static class MacroBinding
{
    public static void Bind(
        RenderState state, MacroDefinition macro, CallArguments arguments, Scope scope, Func<Expression, TemplateValue> evaluate)
    {
        var named = new MappingValue();
        foreach (var (name, value) in arguments.Named)
        {
            named.Items[name] = value;
        }

        BindParameters(state, macro, arguments.Positional, named, scope, evaluate);
        if (macro.UsedNames.HasFlag(SpecialNames.Caller) && !HasParameter(macro, "caller"))
        {
            bool isGiven = named.Items.Remove(new TextValue("caller"), out var caller);
            scope.Set("caller", isGiven ? caller! : new UndefinedValue("the macro was called without a body"));
        }

        BindRest(state, macro, arguments.Positional, named, scope);
    }

    private static void BindParameters(
        RenderState state,
        MacroDefinition macro,
        IReadOnlyList<TemplateValue> positional,
        MappingValue named,
        Scope scope,
        Func<Expression, TemplateValue> evaluate)
    {
        for (int i = 0; i < macro.Parameters.Count; i++)
        {
            var (name, fallback) = macro.Parameters[i];
            TemplateValue? value = null;
            if (i < positional.Count) value = positional[i];
            else if (named.Items.Remove(new TextValue(name), out var given)) value = given;
            else if (fallback is not null) value = evaluate(fallback);
            scope.Set(name, value ?? new UndefinedValue($"parameter '{name}' was not provided"));
        }
    }

    private static void BindRest(
        RenderState state,
        MacroDefinition macro,
        IReadOnlyList<TemplateValue> positional,
        MappingValue named,
        Scope scope)
    {
        if (macro.UsedNames.HasFlag(SpecialNames.NamedRest))
        {
            scope.Set("kwargs", named);
        }
        else if (named.Items.Count > 0)
        {
            string name = ((TextValue)named.Items.GetAt(0).Key).Text;
            throw state.Fail($"macro '{macro.Name}' takes no argument named '{name}'");
        }

        if (macro.UsedNames.HasFlag(SpecialNames.PositionalRest))
        {
            scope.Set("varargs", SequenceValue.Tuple([.. positional.Skip(macro.Parameters.Count)]));
        }
        else if (positional.Count > macro.Parameters.Count)
        {
            throw state.Fail($"macro '{macro.Name}' takes at most {macro.Parameters.Count} arguments, {positional.Count} given");
        }
    }

    private static bool HasParameter(MacroDefinition macro, string name) => macro.Parameters.Any(parameter => parameter.Name == name);
}

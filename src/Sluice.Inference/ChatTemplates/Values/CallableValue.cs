using Sluice.Inference.ChatTemplates.Runtime;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Something a template calls.</summary>
internal abstract class CallableValue : TemplateValue
{
    internal override string TypeName => "function";

    internal override bool IsTrue => true;

    internal override bool IsCallable => true;

    public abstract TemplateValue Invoke(RenderState state, CallArguments arguments);
}

/// <summary>A function of the language.</summary>
internal sealed class FunctionValue(Func<RenderState, CallArguments, TemplateValue> body) : CallableValue
{
    public override TemplateValue Invoke(RenderState state, CallArguments arguments) => body(state, arguments);
}

/// <summary>A method of a value: what it does, given the value that it belongs to.</summary>
internal delegate TemplateValue Method<in T>(RenderState state, T self, CallArguments arguments)
    where T : TemplateValue;

/// <summary>A method together with its value.</summary>
internal sealed class MethodValue<T>(T self, Method<T> method) : CallableValue
    where T : TemplateValue
{
    public override TemplateValue Invoke(RenderState state, CallArguments arguments)
    {
        state.ChargeValue(self);
        return method(state, self, arguments);
    }
}

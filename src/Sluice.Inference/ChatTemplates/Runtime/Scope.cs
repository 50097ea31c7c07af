namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>
/// Variables of one block. Loops, macros, blocks with output and <c>with</c> have scopes of their own; <c>if</c> has not.
/// A variable set in a scope is gone after it and hides the outer one of its name meanwhile.
/// </summary>
internal sealed class Scope(Scope? parent)
{
    private Dictionary<string, TemplateValue>? _variables;

    public TemplateValue? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._variables is not null && scope._variables.TryGetValue(name, out var value)) return value;
        }

        return null;
    }

    public void Set(string name, TemplateValue value) =>
        (_variables ??= new Dictionary<string, TemplateValue>(StringComparer.Ordinal))[name] = value;

    private Scope? Parent { get; } = parent;
}

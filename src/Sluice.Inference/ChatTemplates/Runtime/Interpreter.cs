using System.Diagnostics;
using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Runs statements by walking the tree. One interpreter serves one rendering, on one thread.</summary>
internal sealed class Interpreter(IReadOnlyDictionary<string, TemplateValue> variables, RenderState state)
{
    private readonly Evaluator _evaluator = new(variables, state);

    /// <summary>How a statement ended.</summary>
    private enum Flow
    {
        Next,
        Break,
        Continue,
    }

    public TextValue Run(IReadOnlyList<Statement> template) => Capture(template, new Scope(null), out _);

    /// <summary>Calls a macro: binds its parameters in a scope of its own and gives what its body prints.</summary>
    public TextValue CallMacro(MacroDefinition macro, Scope closure, CallArguments arguments)
    {
        state.Enter(state.Line);
        var scope = new Scope(closure);
        MacroBinding.Bind(state, macro, arguments, scope, expression => _evaluator.Evaluate(expression, scope));
        var text = Capture(macro.Body, scope, out _);
        state.Leave();
        return text;
    }

    private TextValue Capture(IReadOnlyList<Statement> body, Scope scope, out Flow flow)
    {
        var output = new MarkedTextBuilder(state);
        flow = RunAll(body, scope, output);
        return output.ToValue();
    }

    private Flow RunAll(IReadOnlyList<Statement> body, Scope scope, MarkedTextBuilder output)
    {
        foreach (var statement in body)
        {
            state.Enter(statement.Line);
            var flow = Run(statement, scope, output);
            state.Leave();
            if (flow != Flow.Next) return flow;
        }

        return Flow.Next;
    }

    private Flow Run(Statement statement, Scope scope, MarkedTextBuilder output)
    {
        switch (statement)
        {
            case TextStatement text:
                output.Append(text.Text);
                return Flow.Next;
            case OutputStatement print:
                PythonText.WriteStr(state, output, _evaluator.Evaluate(print.Value, scope));
                return Flow.Next;
            case IfStatement choice:
                return RunIf(choice, scope, output);
            case ForStatement loop:
                return RunFor(loop, _evaluator.Evaluate(loop.Iterable, scope), 0, scope, output);
            case SetStatement set:
                Assign(set.Target, _evaluator.Evaluate(set.Value, scope), scope);
                return Flow.Next;
            case SetBlockStatement set:
                return RunSetBlock(set, scope);
            case MacroStatement macro:
                scope.Set(macro.Definition.Name, new MacroValue(this, macro.Definition, scope));
                return Flow.Next;
            case CallBlockStatement call:
                PythonText.WriteStr(state, output, RunCallBlock(call, scope));
                return Flow.Next;
            case FilterBlockStatement filter:
                return RunFilterBlock(filter, scope, output);
            case ScopeStatement block:
                return RunScope(block, scope, output);
            case BreakStatement:
                return Flow.Break;
            case ContinueStatement:
                return Flow.Continue;
            default:
                throw new UnreachableException();
        }
    }

    private Flow RunIf(IfStatement choice, Scope scope, MarkedTextBuilder output)
    {
        foreach (var (condition, body) in choice.Branches)
        {
            if (_evaluator.Evaluate(condition, scope).IsTrue) return RunAll(body, scope, output);
        }

        return RunAll(choice.Else, scope, output);
    }

    private Flow RunFor(ForStatement loop, TemplateValue iterable, int depth, Scope scope, MarkedTextBuilder output)
    {
        var items = SelectItems(loop, Members.Iterate(state, iterable), scope);
        if (items.Count == 0) return RunAll(loop.Else, new Scope(scope), output);

        var variable = new LoopValue(items, depth, loop.IsRecursive ? Recurse : null);
        for (int i = 0; i < items.Count; i++)
        {
            state.CountIteration();
            variable.Index = i;
            var iteration = new Scope(scope);
            Assign(loop.Target, items[i], iteration);
            iteration.Set("loop", variable);
            if (RunAll(loop.Body, iteration, output) == Flow.Break) break;
        }

        return Flow.Next;

        TextValue Recurse(TemplateValue inner, int innerDepth)
        {
            var innerOutput = new MarkedTextBuilder(state);
            RunFor(loop, inner, innerDepth, scope, innerOutput);
            return innerOutput.ToValue();
        }
    }

    private IReadOnlyList<TemplateValue> SelectItems(ForStatement loop, IReadOnlyList<TemplateValue> items, Scope scope)
    {
        if (loop.Condition is null) return items;
        var selected = new List<TemplateValue>();
        foreach (var item in items)
        {
            state.CountIteration();
            var candidate = new Scope(scope);
            Assign(loop.Target, item, candidate);
            if (_evaluator.Evaluate(loop.Condition, candidate).IsTrue) selected.Add(item);
        }

        return selected;
    }

    private Flow RunSetBlock(SetBlockStatement set, Scope scope)
    {
        TemplateValue value = Capture(set.Body, new Scope(scope), out var flow);
        if (flow != Flow.Next) return flow;
        Assign(set.Target, ApplyFilters(set.Filters, value, scope), scope);
        return Flow.Next;
    }

    private Flow RunFilterBlock(FilterBlockStatement filter, Scope scope, MarkedTextBuilder output)
    {
        TemplateValue value = Capture(filter.Body, new Scope(scope), out var flow);
        if (flow != Flow.Next) return flow;
        PythonText.WriteStr(state, output, ApplyFilters(filter.Filters, value, scope));
        return Flow.Next;
    }

    private TemplateValue ApplyFilters(IReadOnlyList<FilterCall> filters, TemplateValue value, Scope scope)
    {
        foreach (var filter in filters)
        {
            value = _evaluator.ApplyFilter(filter, value, scope);
        }

        return value;
    }

    private TemplateValue RunCallBlock(CallBlockStatement block, Scope scope)
    {
        var target = _evaluator.Evaluate(block.Call.Target, scope);
        var arguments = _evaluator.EvaluateArguments(block.Call.Arguments, scope);
        state.Line = block.Line;
        var caller = new MacroValue(this, block.Caller, scope);
        if (target is not CallableValue callable) throw state.Fail($"'{target.TypeName}' cannot be called");
        return callable.Invoke(state, arguments with { Named = [.. arguments.Named, new(new TextValue("caller"), caller)] });
    }

    private Flow RunScope(ScopeStatement block, Scope scope, MarkedTextBuilder output)
    {
        var inner = new Scope(scope);
        foreach (var (target, value) in block.Bindings)
        {
            Assign(target, _evaluator.Evaluate(value, scope), inner);
        }

        return RunAll(block.Body, inner, output);
    }

    private void Assign(AssignmentTarget target, TemplateValue value, Scope scope)
    {
        switch (target)
        {
            case NameTarget name:
                scope.Set(name.Name, value);
                break;
            case NamespaceTarget member:
                if (_evaluator.Lookup(member.Namespace, scope) is not NamespaceValue space)
                {
                    throw state.Fail($"'{member.Namespace}' is not a namespace; only attributes of a namespace can be set");
                }

                space.Attributes.Items[member.Attribute] = value;
                break;
            case TupleTarget tuple:
                var items = Members.Iterate(state, value);
                if (items.Count != tuple.Items.Count)
                {
                    throw state.Fail($"{items.Count} values cannot be assigned to {tuple.Items.Count} names");
                }

                for (int i = 0; i < items.Count; i++)
                {
                    Assign(tuple.Items[i], items[i], scope);
                }

                break;
        }
    }
}

using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>Parses what stands left of an assignment: names, tuples of names, attributes of a namespace.</summary>
internal sealed class TargetParser(TokenCursor cursor)
{
    public AssignmentTarget ParseWithNamespace()
    {
        if (cursor.Current.Kind != TokenKind.Name || !cursor.Next.IsOperator(".")) return ParseTuple(endName: "");
        var name = cursor.Take();
        cursor.Take();
        return new NamespaceTarget(name.Line, name.Text, new TextValue(cursor.ExpectName()));
    }

    /// <summary>One target, or several with commas between them; a trailing comma may stand before <paramref name="endName"/>.</summary>
    public AssignmentTarget ParseTuple(string endName)
    {
        int line = cursor.Current.Line;
        var items = new List<AssignmentTarget> { ParseSingle() };
        bool isTuple = false;
        while (cursor.TrySkipOperator(","))
        {
            isTuple = true;
            if (cursor.Current.Kind != TokenKind.Name && !cursor.Current.IsOperator("(")) break;
            if (endName.Length > 0 && cursor.Current.IsName(endName)) break;
            items.Add(ParseSingle());
        }

        return isTuple ? new TupleTarget(line, items) : items[0];
    }

    public AssignmentTarget ParseSingle()
    {
        if (cursor.TrySkipOperator("("))
        {
            cursor.Enter();
            var inner = ParseTuple(endName: "");
            cursor.ExpectOperator(")");
            cursor.Leave();
            return inner;
        }

        var name = cursor.Expect(TokenKind.Name, "a name to assign to");
        if (name.Text is "true" or "false" or "none" or "True" or "False" or "None")
        {
            throw new ChatTemplateException($"cannot assign to '{name.Text}'", name.Line);
        }

        return new NameTarget(name.Line, name.Text);
    }
}

using System.Collections.Frozen;
using System.Text;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>The methods of strings.</summary>
internal static class TextMethods
{
    private static readonly FrozenDictionary<string, Method<TextValue>> Table = new Dictionary<string, Method<TextValue>>
    {
        ["strip"] = (state, self, a) => TextTrimming.Strip(self, a.Bind(state, "strip", "chars").Text(0)),
        ["lstrip"] = (state, self, a) => TextTrimming.Strip(self, a.Bind(state, "lstrip", "chars").Text(0), atEnd: false),
        ["rstrip"] = (state, self, a) => TextTrimming.Strip(self, a.Bind(state, "rstrip", "chars").Text(0), atStart: false),
        ["split"] = (state, self, a) => Split(state, self, a.Bind(state, "split", "sep", "maxsplit"), fromEnd: false),
        ["rsplit"] = (state, self, a) => Split(state, self, a.Bind(state, "rsplit", "sep", "maxsplit"), fromEnd: true),
        ["splitlines"] = (state, self, a) => TextSplitting.SplitLines(state, self, a.Bind(state, "splitlines", "keepends").IsTrue(0)),
        ["partition"] = (state, self, a) =>
            TextSplitting.Partition(state, self, a.Bind(state, "partition", "sep").RequireText(0), fromEnd: false),
        ["rpartition"] = (state, self, a) =>
            TextSplitting.Partition(state, self, a.Bind(state, "rpartition", "sep").RequireText(0), fromEnd: true),
        ["startswith"] = (state, self, a) => HasAffix(state, self, a.Bind(state, "startswith", "prefix", "start", "end"), atStart: true),
        ["endswith"] = (state, self, a) => HasAffix(state, self, a.Bind(state, "endswith", "suffix", "start", "end"), atStart: false),
        ["removeprefix"] = (state, self, a) => RemoveAffix(self, a.Bind(state, "removeprefix", "prefix").RequireText(0), atStart: true),
        ["removesuffix"] = (state, self, a) => RemoveAffix(self, a.Bind(state, "removesuffix", "suffix").RequireText(0), atStart: false),
        ["replace"] = (state, self, a) => Replace(state, self, a.Bind(state, "replace", "old", "new", "count")),
        ["join"] = (state, self, a) => Join(state, self, a.Bind(state, "join", "iterable").Require(0)),
        ["upper"] = (state, self, a) => TextCase.Upper(NoArguments(state, self, a)),
        ["lower"] = (state, self, a) => TextCase.Lower(NoArguments(state, self, a)),
        ["casefold"] = (state, self, a) => TextCase.Lower(NoArguments(state, self, a)),
        ["title"] = (state, self, a) => TextCase.Title(NoArguments(state, self, a)),
        ["capitalize"] = (state, self, a) => TextCase.Capitalize(NoArguments(state, self, a)),
        ["swapcase"] = (state, self, a) => TextCase.Swap(NoArguments(state, self, a)),
        ["find"] = (state, self, a) => Find(state, self, a.Bind(state, "find", "sub", "start", "end"), fromEnd: false),
        ["rfind"] = (state, self, a) => Find(state, self, a.Bind(state, "rfind", "sub", "start", "end"), fromEnd: true),
        ["index"] = (state, self, a) => Index(state, self, a.Bind(state, "index", "sub", "start", "end"), fromEnd: false),
        ["rindex"] = (state, self, a) => Index(state, self, a.Bind(state, "rindex", "sub", "start", "end"), fromEnd: true),
        ["count"] = (state, self, a) => Count(self, a.Bind(state, "count", "sub").RequireText(0)),
        ["center"] = (state, self, a) => Pad(state, self, a, '^'),
        ["ljust"] = (state, self, a) => Pad(state, self, a, '<'),
        ["rjust"] = (state, self, a) => Pad(state, self, a, '>'),
        ["zfill"] = (state, self, a) => FillZeros(state, self, a.Bind(state, "zfill", "width").RequireInteger(0)),
        ["format"] = BraceFormat.Apply,
        ["isdigit"] = (_, self, _) => All(self, Rune.IsDigit),
        ["isdecimal"] = (_, self, _) => All(self, Rune.IsDigit),
        ["isnumeric"] = (_, self, _) => All(self, Rune.IsNumber),
        ["isalpha"] = (_, self, _) => All(self, Rune.IsLetter),
        ["isalnum"] = (_, self, _) => All(self, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isspace"] = (_, self, _) => All(self, rune => rune.IsBmp && PythonCharacters.IsSpace((char)rune.Value)),
        ["isupper"] = (_, self, _) => BooleanValue.Of(TextCase.IsAll(self.Text, isUpper: true)),
        ["islower"] = (_, self, _) => BooleanValue.Of(TextCase.IsAll(self.Text, isUpper: false)),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static CallableValue? Find(TextValue self, string name) =>
        Table.TryGetValue(name, out var method) ? new MethodValue<TextValue>(self, method) : null;

    private static TextValue NoArguments(RenderState state, TextValue self, CallArguments arguments)
    {
        arguments.Bind(state, "the method");
        return self;
    }

    private static BooleanValue All(TextValue self, Func<Rune, bool> test)
    {
        foreach (var rune in self.Text.EnumerateRunes())
        {
            if (!test(rune)) return BooleanValue.Of(false);
        }

        return BooleanValue.Of(self.Length > 0);
    }

    private static SequenceValue Split(RenderState state, TextValue self, BoundArguments a, bool fromEnd) => fromEnd
        ? TextSplitting.SplitFromEnd(state, self, a.Text(0), a.Integer(1, -1))
        : TextSplitting.Split(state, self, a.Text(0), a.Integer(1, -1));

    private static TextValue Replace(RenderState state, TextValue self, BoundArguments a) =>
        TextEditing.Replace(state, self, a.RequireText(0), a.RequireText(1), a.Integer(2, -1));

    private static TextValue Join(RenderState state, TextValue self, TemplateValue parts)
    {
        if (parts is UndefinedValue) return TextValue.Empty;
        var texts = new List<TextValue>();
        foreach (var part in Members.Iterate(state, parts))
        {
            texts.Add(part as TextValue ?? throw state.Fail($"'join' needs strings, not '{part.TypeName}'"));
        }

        return TextEditing.Join(state, self, texts);
    }

    private static BooleanValue HasAffix(RenderState state, TextValue self, BoundArguments a, bool atStart)
    {
        var part = self;
        if (a[1] is not null || a[2] is not null)
        {
            part = (TextValue)Members.GetSlice(state, self, a[1] ?? NoneValue.Instance, a[2] ?? NoneValue.Instance, NoneValue.Instance);
        }

        var affixes = a.Require(0) is SequenceValue { Kind: SequenceKind.Tuple } tuple ? tuple.Items : [a.RequireText(0)];
        foreach (var affix in affixes)
        {
            if (affix is not TextValue text) throw state.Fail($"a prefix or suffix is a string, not '{affix.TypeName}'");
            bool holds = atStart
                ? part.Text.StartsWith(text.Text, StringComparison.Ordinal)
                : part.Text.EndsWith(text.Text, StringComparison.Ordinal);
            if (holds) return BooleanValue.Of(true);
        }

        return BooleanValue.Of(false);
    }

    private static TextValue RemoveAffix(TextValue self, TextValue affix, bool atStart)
    {
        if (affix.Length == 0) return self;
        if (atStart) return self.Text.StartsWith(affix.Text, StringComparison.Ordinal) ? self.Slice(affix.Length) : self;
        return self.Text.EndsWith(affix.Text, StringComparison.Ordinal) ? self.Slice(0, self.Length - affix.Length) : self;
    }

    private static IntegerValue Find(RenderState state, TextValue self, BoundArguments a, bool fromEnd)
    {
        var sub = a.RequireText(0);
        var points = new CodePoints(self.Text);
        var bounds = SliceBounds.Of(state, points.Count, a[1] ?? NoneValue.Instance, a[2] ?? NoneValue.Instance, NoneValue.Instance);
        if (a.Integer(1, 0) > points.Count) return new IntegerValue(-1);
        int start = points.OffsetOf(Math.Min(bounds.Start, points.Count));
        int end = points.OffsetOf(Math.Min(bounds.Start + bounds.Count, points.Count));
        var searched = self.Text.AsSpan(start, end - start);
        int found = fromEnd ? searched.LastIndexOf(sub.Text) : searched.IndexOf(sub.Text);
        return new IntegerValue(found < 0 ? -1 : points.IndexAt(start + found));
    }

    private static IntegerValue Index(RenderState state, TextValue self, BoundArguments a, bool fromEnd)
    {
        var found = Find(state, self, a, fromEnd);
        return found.Value >= 0 ? found : throw state.Fail("the substring is not there");
    }

    private static IntegerValue Count(TextValue self, TextValue sub)
    {
        if (sub.Length == 0) return new IntegerValue(CodePoints.CountOf(self.Text) + 1);
        return new IntegerValue(self.Text.AsSpan().Count(sub.Text));
    }

    private static TextValue Pad(RenderState state, TextValue self, CallArguments arguments, char alignment)
    {
        var a = arguments.Bind(state, "padding", "width", "fillchar");
        var fill = a.Text(1) ?? new TextValue(" ");
        if (fill.Length != 1) throw state.Fail("the fill character is one character");
        return fill.MarkAlike(TextEditing.Pad(state, self, a.RequireInteger(0), fill.Text[0], alignment));
    }

    private static TextValue FillZeros(RenderState state, TextValue self, long width)
    {
        if (self.Length == 0 || self.Text[0] is not ('+' or '-')) return TextEditing.Pad(state, self, width, '0', '>');
        var digits = TextEditing.Pad(state, self.Slice(1), width - 1, '0', '>');
        return Arithmetic.Concatenate(state, self.Slice(0, 1), digits);
    }
}

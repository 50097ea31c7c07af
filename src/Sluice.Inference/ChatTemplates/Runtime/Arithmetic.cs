using Sluice.Inference.ChatTemplates.Builtins;
using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Python's arithmetic operators on numbers, strings and lists. Integers are 64 bits wide; leaving them is an error.</summary>
internal static class Arithmetic
{
    public static TemplateValue Apply(RenderState state, ArithmeticOperator operation, TemplateValue left, TemplateValue right)
    {
        if (operation == ArithmeticOperator.Modulo && left is TextValue format) return PercentFormat.Apply(state, format, right);
        if (Numbers.TryGetInteger(left, out long a) && Numbers.TryGetInteger(right, out long b))
        {
            return ApplyIntegers(state, operation, a, b);
        }

        if (Numbers.IsNumber(left) && Numbers.IsNumber(right))
        {
            return new FloatValue(ApplyFloats(state, operation, Numbers.ToDouble(left), Numbers.ToDouble(right)));
        }

        return operation switch
        {
            ArithmeticOperator.Add => Add(state, left, right),
            ArithmeticOperator.Multiply when Numbers.TryGetInteger(right, out long times) => Repeat(state, left, right, times),
            ArithmeticOperator.Multiply when Numbers.TryGetInteger(left, out long times) => Repeat(state, right, left, times),
            _ => throw Mismatch(state, operation, left, right),
        };
    }

    public static TemplateValue Sign(RenderState state, TemplateValue operand, bool isNegative)
    {
        if (operand is FloatValue number) return isNegative ? new FloatValue(-number.Value) : number;
        if (!Numbers.TryGetInteger(operand, out long integer))
        {
            throw state.Fail(operand is UndefinedValue undefined ? undefined.Reason : $"'{operand.TypeName}' has no sign");
        }

        if (isNegative && integer == long.MinValue) throw Overflow(state);
        return new IntegerValue(isNegative ? -integer : integer);
    }

    public static TextValue Concatenate(RenderState state, TextValue left, TextValue right)
    {
        if (left.Length == 0) return right;
        if (right.Length == 0) return left;
        var builder = new MarkedTextBuilder(state);
        builder.Append(left);
        builder.Append(right);
        return builder.ToValue();
    }

    private static TemplateValue Add(RenderState state, TemplateValue left, TemplateValue right) => (left, right) switch
    {
        (TextValue a, TextValue b) => Concatenate(state, a, b),
        (SequenceValue { Kind: SequenceKind.List or SequenceKind.Tuple } a, SequenceValue b) when a.Kind == b.Kind =>
            AddSequences(state, a, b),
        _ => throw Mismatch(state, ArithmeticOperator.Add, left, right),
    };

    private static SequenceValue AddSequences(RenderState state, SequenceValue left, SequenceValue right)
    {
        int count = left.Items.Count + right.Items.Count;
        state.CheckItemCount(count);
        state.Charge(count);
        return new SequenceValue(left.Kind, [.. left.Items, .. right.Items]);
    }

    private static TemplateValue Repeat(RenderState state, TemplateValue value, TemplateValue count, long times)
    {
        times = Math.Clamp(times, 0, ChatTemplateLimits.TextLengthMax + 1);
        switch (value)
        {
            case TextValue text:
                var builder = new MarkedTextBuilder(state);
                for (long i = 0; text.Length > 0 && i < times; i++)
                {
                    state.Charge(1);
                    builder.Append(text);
                }

                return builder.ToValue();
            case SequenceValue { Kind: SequenceKind.List or SequenceKind.Tuple } sequence:
                state.CheckItemCount(sequence.Items.Count * times);
                state.Charge(sequence.Items.Count * times);
                var items = new List<TemplateValue>();
                for (long i = 0; sequence.Items.Count > 0 && i < times; i++)
                {
                    items.AddRange(sequence.Items);
                }

                return new SequenceValue(sequence.Kind, items);
            default:
                throw Mismatch(state, ArithmeticOperator.Multiply, value, count);
        }
    }

    private static TemplateValue ApplyIntegers(RenderState state, ArithmeticOperator operation, long left, long right)
    {
        try
        {
            return operation switch
            {
                ArithmeticOperator.Add => new IntegerValue(checked(left + right)),
                ArithmeticOperator.Subtract => new IntegerValue(checked(left - right)),
                ArithmeticOperator.Multiply => new IntegerValue(checked(left * right)),
                ArithmeticOperator.Divide => new FloatValue(right == 0 ? throw ZeroDivision(state) : (double)left / right),
                ArithmeticOperator.FloorDivide => new IntegerValue(FloorDivide(state, left, right)),
                ArithmeticOperator.Modulo => new IntegerValue(Modulo(state, left, right)),
                _ => Power(state, left, right),
            };
        }
        catch (OverflowException)
        {
            throw Overflow(state);
        }
    }

    private static long FloorDivide(RenderState state, long left, long right)
    {
        if (right == 0) throw ZeroDivision(state);
        if (right == -1) return checked(-left);
        long quotient = left / right;
        return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
    }

    private static long Modulo(RenderState state, long left, long right)
    {
        if (right == 0) throw ZeroDivision(state);
        if (right == -1) return 0;
        long remainder = left % right;
        return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder;
    }

    private static TemplateValue Power(RenderState state, long left, long right)
    {
        if (right < 0) return new FloatValue(left == 0 ? throw ZeroDivision(state) : Math.Pow(left, right));
        if (left is 0 or 1 || right == 0) return new IntegerValue(right == 0 ? 1 : left);
        if (left == -1) return new IntegerValue(right % 2 == 0 ? 1 : -1);
        long result = 1;
        for (long i = 0; i < right; i++)
        {
            result = checked(result * left);
        }

        return new IntegerValue(result);
    }

    private static double ApplyFloats(RenderState state, ArithmeticOperator operation, double left, double right)
    {
        bool isDivision = operation is ArithmeticOperator.Divide or ArithmeticOperator.FloorDivide or ArithmeticOperator.Modulo;
        if (isDivision && right == 0) throw ZeroDivision(state);
        switch (operation)
        {
            case ArithmeticOperator.Add:
                return left + right;
            case ArithmeticOperator.Subtract:
                return left - right;
            case ArithmeticOperator.Multiply:
                return left * right;
            case ArithmeticOperator.Divide:
                return left / right;
            case ArithmeticOperator.FloorDivide:
                return Math.Floor(((left - Modulo(left, right)) / right) + 0.5);
            case ArithmeticOperator.Modulo:
                return Modulo(left, right);
            default:
                double power = Math.Pow(left, right);
                bool isReal = !double.IsNaN(power) || double.IsNaN(left) || double.IsNaN(right);
                bool isFinite = !double.IsInfinity(power) || double.IsInfinity(left) || double.IsInfinity(right);
                return isReal && isFinite ? power : throw state.Fail("a power has no value");
        }
    }

    private static double Modulo(double left, double right)
    {
        double remainder = left % right;
        return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder;
    }

    private static ChatTemplateException ZeroDivision(RenderState state) => state.Fail("division by zero");

    private static ChatTemplateException Overflow(RenderState state) => state.Fail("an integer needs more than 64 bits");

    private static ChatTemplateException Mismatch(RenderState state, ArithmeticOperator operation, TemplateValue left, TemplateValue right)
    {
        if (left is UndefinedValue first) return state.Fail(first.Reason);
        if (right is UndefinedValue second) return state.Fail(second.Reason);
        string symbol = operation switch
        {
            ArithmeticOperator.Add => "+",
            ArithmeticOperator.Subtract => "-",
            ArithmeticOperator.Multiply => "*",
            ArithmeticOperator.Divide => "/",
            ArithmeticOperator.FloorDivide => "//",
            ArithmeticOperator.Modulo => "%",
            _ => "**",
        };
        return state.Fail($"'{symbol}' cannot take '{left.TypeName}' and '{right.TypeName}'");
    }
}

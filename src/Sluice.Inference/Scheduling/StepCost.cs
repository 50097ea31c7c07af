namespace Sluice.Inference.Scheduling;

/// <summary>
/// What computing tokens takes, learnt from the steps: so much for each token, and so much for each token before it that it attends to. Of a
/// long prompt the second is soon the larger part.
/// </summary>
/// <param name="attentionShare">Work of attending to one token as a share of all other work of a token: where learning begins.</param>
internal sealed class StepCost(double attentionShare)
{
    // Weight of the newest step, and of the first ones as many times more as fewer came before.
    private const double Smoothing = 0.2;

    // Tokens of context that count like one token to be learnt from.
    private const double ContextUnit = 1024;
    private const double MillisecondsMin = 1e-3;

    private double _perToken = 1;
    private double _perUnit = attentionShare * ContextUnit;
    private int _stepCount;

    /// <summary>Tokens attended to by a run of tokens, over all of it.</summary>
    /// <param name="start">Tokens before the run.</param>
    /// <param name="count">Tokens of the run.</param>
    public static double Context(int start, int count) => count * (start + ((count - 1) / 2.0));

    /// <summary>Milliseconds of a run.</summary>
    public double Estimate(int start, int count) => (_perToken * count) + (_perUnit / ContextUnit * Context(start, count));

    /// <summary>The longest run behind <paramref name="start"/> tokens that takes at most so long; 0 where not even one token does.</summary>
    public int TokensWithin(double milliseconds, int start)
    {
        if (milliseconds <= 0)
        {
            return 0;
        }

        // The positive root of Estimate(start, n) = milliseconds.
        double perContext = _perUnit / ContextUnit;
        double linear = _perToken + (perContext * (start - 0.5));
        double tokens = 2 * milliseconds / (linear + Math.Sqrt((linear * linear) + (2 * perContext * milliseconds)));
        return tokens < int.MaxValue ? (int)tokens : int.MaxValue;
    }

    /// <summary>Takes in what a step took.</summary>
    /// <param name="milliseconds">All of it.</param>
    /// <param name="tokens">Tokens computed.</param>
    /// <param name="context">What they attended to; see <see cref="Context"/>.</param>
    public void Learn(double milliseconds, int tokens, double context)
    {
        double perToken = milliseconds / tokens;
        double units = context / tokens / ContextUnit;
        if (_stepCount++ == 0)
        {
            _perToken = perToken / (1 + (attentionShare * ContextUnit * units));
            _perUnit = _perToken * attentionShare * ContextUnit;
            return;
        }

        // A step along the one line that the measurement says anything about: what long prompts have taught is not forgotten over short ones.
        double weight = Math.Max(Smoothing, 1.0 / _stepCount);
        double error = (perToken - _perToken - (_perUnit * units)) * weight / (1 + (units * units));
        _perToken = Math.Max(MillisecondsMin, _perToken + error);
        _perUnit = Math.Max(0, _perUnit + (error * units));
    }
}

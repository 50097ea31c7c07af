namespace Sluice.Tests.Inference.Truth;

/// <summary>One pass over all reference continuations, shared by the tests that look at it.</summary>
internal static class ForcedRuns
{
    private static readonly Lock Gate = new();
    private static IReadOnlyList<ForcedPosition>? _positions;

    public static IReadOnlyList<ForcedPosition> Of(ShippedModel shipped)
    {
        lock (Gate)
        {
            return _positions ??= ForcedPosition.Run(shipped.Model, TruthCase.All);
        }
    }
}

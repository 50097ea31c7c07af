namespace Sluice.Inference.Scheduling;

/// <summary>
/// What a step takes that reads no prompt, by its rows: learnt from the steps. Few rows cost little more than one, as long as reading the
/// weights takes longer than multiplying with them; how many depends on the machine.
/// </summary>
internal sealed class RowCost
{
    private const double Smoothing = 0.2;

    // One step that was held up by something else says nothing about its rows.
    private const double OutlierRatio = 2;

    // What was measured longer ago counts no more: contexts grow, and other programs come and go.
    private const int StepsKept = 256;
    private const double MillisecondsMin = 1e-3;

    private readonly Measurement[] _measured;
    private long _stepCount;

    /// <param name="rowsMax">Rows of the largest step that is learnt from.</param>
    public RowCost(int rowsMax) => _measured = new Measurement[rowsMax + 1];

    /// <summary>Milliseconds of a step, or only their ratio while nothing is measured.</summary>
    /// <param name="rows">1 up to the largest step.</param>
    public double Estimate(int rows)
    {
        for (int distance = 0; distance < _measured.Length; distance++)
        {
            if (IsKnown(rows - distance))
            {
                return Scale(rows - distance, rows);
            }

            if (IsKnown(rows + distance))
            {
                return Scale(rows + distance, rows);
            }
        }

        return Shape(rows);
    }

    /// <summary>Takes in what a step took.</summary>
    public void Learn(double milliseconds, int rows)
    {
        _stepCount++;
        if (rows >= _measured.Length)
        {
            return;
        }

        ref Measurement measured = ref _measured[rows];
        double before = Estimate(rows);
        int count = IsKnown(rows) ? measured.Count + 1 : 1;
        if (HasAny())
        {
            milliseconds = Math.Clamp(milliseconds, before / OutlierRatio, before * OutlierRatio);
        }

        double weight = Math.Max(Smoothing, 1.0 / count);
        measured = new Measurement(count == 1 ? milliseconds : before + (weight * (milliseconds - before)), count, _stepCount);
    }

    private bool HasAny()
    {
        for (int rows = 1; rows < _measured.Length; rows++)
        {
            if (IsKnown(rows))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsKnown(int rows) =>
        rows > 0 && rows < _measured.Length && _measured[rows].Count > 0 && _stepCount - _measured[rows].Step < StepsKept;

    private double Scale(int from, int to) => Math.Max(MillisecondsMin, _measured[from].Milliseconds * Shape(to) / Shape(from));

    // Reference: two cores with AVX-512 and the model that the repository carries. Columns are computed in tiles of 1, 4 and 8.
    private static double Shape(int rows) =>
        1 + (0.06 * (rows - 1)) + (rows > 4 ? 0.7 : 0) + (rows > 8 ? 0.35 : 0) + (rows > 12 ? 1 : 0);

    private readonly record struct Measurement(double Milliseconds, int Count, long Step);
}

namespace Sluice.Inference.Kernels;

/// <summary>
/// The input columns of matrix products, in single precision and, where a matrix wants them, quantised. Reused from step to step.
/// </summary>
internal sealed unsafe class BatchInput : IDisposable
{
    private readonly NativeBuffer _singles;
    private readonly bool _isView;
    private int _firstColumn;

    /// <param name="length">Values per column.</param>
    /// <param name="columnCapacity">Most columns of a batch.</param>
    /// <param name="quantized">Whether any matrix that reads this input is quantised.</param>
    public BatchInput(int length, int columnCapacity, bool quantized)
    {
        Length = length;
        Stride = (length + PackedMatrix.GroupRows - 1) & ~(PackedMatrix.GroupRows - 1);
        _singles = new NativeBuffer((long)Stride * columnCapacity * sizeof(float));
        Quantized = quantized ? new QuantizedActivations(length, columnCapacity) : null;
    }

    /// <summary>A view of some columns of another input, which owns them.</summary>
    public BatchInput(BatchInput source)
    {
        Length = source.Length;
        Stride = source.Stride;
        _singles = source._singles;
        _isView = true;
        Quantized = source.Quantized == null ? null : new QuantizedActivations(source.Quantized);
    }

    public int Length { get; }

    /// <summary>Floats from one column to the next: <see cref="Length"/> rounded up to 16.</summary>
    public int Stride { get; }

    public int ColumnCount { get; private set; }

    public QuantizedActivations? Quantized { get; }

    /// <summary>Sets the number of columns of the next batch; what stood here before is void.</summary>
    public void Begin(int columnCount)
    {
        ColumnCount = columnCount;
        if (Quantized != null)
        {
            Quantized.ColumnCount = columnCount;
        }
    }

    /// <summary>Sets what a view shows.</summary>
    /// <param name="firstColumn">A column of the source that begins a tile: a multiple of 8.</param>
    /// <param name="columnCount">Columns from there on.</param>
    public void Show(int firstColumn, int columnCount)
    {
        _firstColumn = firstColumn;
        Quantized?.FirstColumn = firstColumn;
        Begin(columnCount);
    }

    public float* Column(int column) => _singles.Singles + ((long)(_firstColumn + column) * Stride);

    /// <summary>Call after a column's floats are written.</summary>
    public void Seal(int column) => Quantized?.Quantize(column, Column(column), 0, Length / ActivationLayout.BlockLength);

    public void Dispose()
    {
        if (!_isView)
        {
            _singles.Dispose();
            Quantized?.Dispose();
        }
    }
}

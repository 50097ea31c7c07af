using Sluice.Inference.Gguf;

namespace Sluice.Inference.Kernels;

/// <summary>
/// A weight matrix repacked into groups of 16 rows. Immutable after loading; any number of threads may multiply with different groups at once.
/// ggml writes dimensions innermost first; here <see cref="Length"/> is the input width (dims[0]) and <see cref="RowCount"/> the outputs.
/// </summary>
internal abstract unsafe class PackedMatrix
{
    /// <summary>Rows computed together: one per 32-bit lane of a 512-bit register.</summary>
    public const int GroupRows = 16;

    private readonly byte* _groups;

    // Kept alive as long as the matrix: its memory is the arena's.
    private readonly WeightArena _arena;

    protected PackedMatrix(WeightArena arena, GgufTensorType sourceType, int rowCount, int length, long groupBytes)
    {
        SourceType = sourceType;
        RowCount = rowCount;
        Length = length;
        GroupBytes = groupBytes;
        GroupCount = (rowCount + GroupRows - 1) / GroupRows;
        SizeBytes = groupBytes * GroupCount;
        _arena = arena;
        _groups = arena.Take(SizeBytes);
        if (rowCount % GroupRows != 0)
        {
            new Span<byte>(Group(GroupCount - 1), checked((int)groupBytes)).Clear();
        }
    }

    public GgufTensorType SourceType { get; }

    public int RowCount { get; }

    public int Length { get; }

    public int GroupCount { get; }

    /// <summary>Whether the product reads quantised activations; otherwise it reads single precision ones.</summary>
    public abstract bool ReadsQuantized { get; }

    /// <summary>Bytes in the arena, which owns them.</summary>
    public long SizeBytes { get; }

    /// <summary>The instruction set to use; tests set it to compare paths.</summary>
    public KernelPath Path { get; set; } = KernelPaths.Best;

    protected long GroupBytes { get; }

    /// <summary>Repacks 16 rows of a file; different groups may be packed at once.</summary>
    /// <param name="groupIndex">The group to fill.</param>
    /// <param name="source">First row of the tensor.</param>
    /// <param name="sourceRowBytes">Bytes from one row of the file to the next.</param>
    /// <param name="sourceRow">Row of the file for each row of this matrix.</param>
    public abstract void PackGroup(int groupIndex, byte* source, long sourceRowBytes, Func<int, int> sourceRow);

    /// <summary>Multiplies one group of rows with every column of the batch.</summary>
    /// <param name="groupIndex">0 to <see cref="GroupCount"/> - 1.</param>
    /// <param name="input">Columns of <see cref="Length"/> values.</param>
    /// <param name="output">Row 0 of the group in column 0; 16 floats are written per column, also beyond <see cref="RowCount"/>.</param>
    /// <param name="outputStride">Floats from one column to the next.</param>
    /// <param name="accumulate">Whether the results are added to what stands there.</param>
    public abstract void MultiplyGroup(int groupIndex, BatchInput input, float* output, int outputStride, bool accumulate);

    /// <summary>Writes one row in single precision: what the file's type says the values are, bit for bit.</summary>
    /// <param name="row">0 to <see cref="RowCount"/> - 1.</param>
    /// <param name="destination">Receives <see cref="Length"/> floats.</param>
    public abstract void ReadRow(int row, float* destination);

    public byte* Group(int groupIndex) => _groups + (groupIndex * GroupBytes);
}

using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;

namespace Sluice.Inference.Transformer;

/// <summary>Copies tensors of a file into an arena, and knows which ones were read.</summary>
/// <param name="file">The open file.</param>
/// <param name="arena">Where everything is put; null checks names and shapes, and gives nothing that may be read.</param>
internal sealed unsafe class WeightReader(GgufFile file, WeightArena? arena)
{
    private readonly HashSet<string> _read = [];

    /// <summary>Bytes of everything that was read.</summary>
    public long SizeBytes { get; private set; }

    public GgufFile File => file;

    public bool Has(string name) => file.Tensors.ContainsKey(name);

    /// <summary>Whether somebody has asked for the tensor.</summary>
    public bool IsRead(string name) => _read.Contains(name);

    /// <summary>A tensor that is copied by somebody else.</summary>
    public void MarkRead(string name) => _read.Add(name);

    /// <summary>A matrix of its own.</summary>
    /// <param name="name">Tensor name.</param>
    /// <param name="rowCount">Expected outputs.</param>
    /// <param name="length">Expected inputs.</param>
    /// <param name="sourceRow">Row of the file for each row of the matrix; null keeps the order.</param>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public PackedMatrix Matrix(string name, int rowCount, int length, Func<int, int>? sourceRow = null) =>
        Rows(name, rowCount, length, 0, rowCount, sourceRow);

    /// <summary>Some rows of a matrix that the file has in one tensor with others.</summary>
    /// <param name="name">Tensor name.</param>
    /// <param name="allRows">Expected rows of the tensor.</param>
    /// <param name="length">Expected inputs.</param>
    /// <param name="firstRow">The first of the rows.</param>
    /// <param name="rowCount">How many.</param>
    /// <param name="sourceRow">Row of the file, counted from <paramref name="firstRow"/>, for each row of the matrix; null keeps the order.</param>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public PackedMatrix Rows(string name, long allRows, int length, long firstRow, int rowCount, Func<int, int>? sourceRow = null)
    {
        _read.Add(name);
        GgufTensor tensor = file.GetTensor(name);
        MatrixPacker.CheckShape(file, tensor, allRows, length);
        if (arena == null)
        {
            return null!;
        }

        PackedMatrix matrix = MatrixPacker.Pack(arena, file, tensor, firstRow, rowCount, sourceRow);
        SizeBytes += matrix.SizeBytes;
        return matrix;
    }

    /// <summary>A vector, padded with zeros to whole lanes.</summary>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public float* Vector(string name, int length) => VectorOf(name, 1, length, 0);

    /// <summary>One row of a tensor.</summary>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public float* VectorOf(string name, long rows, int length, long row)
    {
        _read.Add(name);
        GgufTensor tensor = file.GetTensor(name);
        MatrixPacker.CheckShape(file, tensor, rows, length);
        if (arena == null)
        {
            return null;
        }

        float* vector = NewVector(length);
        RowReader.Read(tensor.Type, file.GetPointer(tensor) + (row * (tensor.SizeBytes / tensor.RowCount)), vector, length);
        return vector;
    }

    /// <summary>All rows of a tensor, each padded to whole lanes.</summary>
    /// <exception cref="GgufException">The tensor is missing, or has fewer rows or others.</exception>
    public float* Table(string name, int rowsMin, int length)
    {
        _read.Add(name);
        GgufTensor tensor = file.GetTensor(name);
        if (tensor.RowLength != length || tensor.RowCount < rowsMin || length % VectorMath.Lanes != 0)
        {
            throw new GgufException(
                $"{file.Path}: tensor '{name}': expected {length} x {rowsMin} values or more rows, found {tensor.RowLength} x {tensor.RowCount}.");
        }

        if (arena == null)
        {
            return null;
        }

        float* table = NewVector(checked(rowsMin * length));
        RowReader.Read(tensor.Type, file.GetPointer(tensor), table, (long)rowsMin * length);
        return table;
    }

    /// <summary>A tensor of small dimensions as one vector, whatever those dimensions are.</summary>
    /// <exception cref="GgufException">The tensor is missing or has another number of values.</exception>
    public float* Flat(string name, int length)
    {
        _read.Add(name);
        GgufTensor tensor = file.GetTensor(name);
        if (tensor.RowLength * tensor.RowCount != length)
        {
            throw new GgufException($"{file.Path}: tensor '{name}': expected {length} values, found {tensor.RowLength} x {tensor.RowCount}.");
        }

        if (arena == null)
        {
            return null;
        }

        float* vector = NewVector(length);
        RowReader.Read(tensor.Type, file.GetPointer(tensor), vector, length);
        return vector;
    }

    /// <summary>A tensor of one value.</summary>
    /// <exception cref="GgufException">The tensor is missing or has more values.</exception>
    public float Scalar(string name)
    {
        float* value = Flat(name, 1);
        return value == null ? 1 : *value;
    }

    /// <summary>A small matrix with its rows as columns: (length, rowCount).</summary>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public float* Transposed(string name, int rowCount, int length)
    {
        float* rows = Flat(name, checked(rowCount * length));
        MatrixPacker.CheckShape(file, file.GetTensor(name), rowCount, length);
        if (rows == null)
        {
            return null;
        }

        float* columns = NewVector(rowCount * length);
        for (int i = 0; i < rowCount * length; i++)
        {
            columns[(i % length * rowCount) + (i / length)] = rows[i];
        }

        return columns;
    }

    /// <summary>A vector in another order, or null without the tensor.</summary>
    /// <param name="name">Tensor name.</param>
    /// <param name="length">Expected values.</param>
    /// <param name="source">Index in the file for each value; null keeps the order.</param>
    public float* FindVector(string name, int length, Func<int, int>? source = null) => FindPart(name, length, 0, length, source);

    /// <summary>A vector that must be there, in another order.</summary>
    /// <exception cref="GgufException">The tensor is missing or has another shape.</exception>
    public float* Ordered(string name, int length, Func<int, int>? source)
    {
        _ = file.GetTensor(name);
        return FindPart(name, length, 0, length, source);
    }

    /// <summary>Some of the values of a vector, or null without the tensor.</summary>
    public float* FindPart(string name, int allLength, int first, int length, Func<int, int>? source = null)
    {
        if (!Has(name))
        {
            return null;
        }

        float* all = Vector(name, allLength);
        if (all == null || (source == null && first == 0 && length == allLength))
        {
            return all;
        }

        float* part = NewVector(length);
        for (int i = 0; i < length; i++)
        {
            part[i] = all[first + (source?.Invoke(i) ?? i)];
        }

        return part;
    }

    /// <summary>A norm's gain and, where the file has it, its bias.</summary>
    /// <param name="name">Tensor name without <c>.weight</c>, which files of Falcon H1 leave out; null gives none.</param>
    /// <param name="length">Values.</param>
    public NormWeights Norm(string? name, int length) => name == null
        ? default
        : new NormWeights(Vector(Has(name) ? name : name + ".weight", length), FindVector(name + ".bias", length));

    private float* NewVector(int length)
    {
        long sizeBytes = (long)(length + VectorMath.Lanes - 1) / VectorMath.Lanes * VectorMath.Lanes * sizeof(float);
        float* vector = (float*)arena!.Take(sizeBytes);
        new Span<byte>(vector, checked((int)sizeBytes)).Clear();
        SizeBytes += sizeBytes;
        return vector;
    }
}

/// <summary>Gain and bias of a norm; both null for none.</summary>
internal readonly unsafe struct NormWeights(float* gain, float* bias)
{
    /// <summary>Null for no norm.</summary>
    public float* Gain => gain;

    /// <summary>Null for none.</summary>
    public float* Bias => bias;

    public bool IsNone => gain == null;
}

using System.Buffers.Binary;

namespace Sluice.Inference.Gguf;

/// <summary>An array of strings as it lies in the header; enumerated without allocation.</summary>
internal readonly struct GgufStringArray(byte[] bytes, int offset, int count)
{
    public int Count => count;

    public Enumerator GetEnumerator() => new(bytes.AsSpan(offset), count);

    public ref struct Enumerator
    {
        private ReadOnlySpan<byte> _rest;
        private int _remaining;

        public Enumerator(ReadOnlySpan<byte> bytes, int count)
        {
            _rest = bytes;
            _remaining = count;
        }

        /// <summary>UTF-8 of the current string.</summary>
        public ReadOnlySpan<byte> Current { get; private set; }

        public bool MoveNext()
        {
            if (_remaining == 0)
            {
                return false;
            }

            _remaining--;
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(_rest);
            Current = _rest.Slice(8, length);
            _rest = _rest[(8 + length)..];
            return true;
        }
    }
}

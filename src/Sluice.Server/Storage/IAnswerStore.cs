using System.Buffers;

namespace Sluice.Server.Storage;

/// <summary>
/// Keeps answers beyond the memory and the life of the process. Where there is none, answers are kept in memory alone. What a store has to hold to
/// is in the conformance suite of the tests.
/// </summary>
/// <remarks>
/// One caller opens, loads and commits, one call at a time; <see cref="ReadAsync"/> and <see cref="FindRequestAsync"/> may come from any number of threads beside
/// it. Every method reports what goes wrong as a <see cref="StoreException"/>, and may be called again.
/// </remarks>
internal interface IAnswerStore : IAsyncDisposable
{
    /// <summary>Where it is, for a person.</summary>
    string Name { get; }

    /// <summary>Bytes of it that are in use, after the last load or commit. What is free in it for others is not.</summary>
    long UsedBytes { get; }

    /// <summary>Opens it, and makes it where there is none.</summary>
    ValueTask OpenAsync(CancellationToken cancellation);

    /// <summary>All answers and traces that this process has to take over, in the order in which they came.</summary>
    ValueTask<StoreContents> LoadAsync(CancellationToken cancellation);

    /// <summary>
    /// Makes all changes of a batch, or none. Where it throws, the changes may have been made all the same: committing them again, also with more
    /// events behind those that were meant, has the same effect as once.
    /// </summary>
    /// <returns>
    /// Ids of answers that belong to another process by now, or are gone: nothing of theirs was changed. Only a store that several processes share
    /// has any.
    /// </returns>
    ValueTask<IReadOnlyList<string>> CommitAsync(StoreBatch batch, CancellationToken cancellation);

    /// <summary>Copies events of an answer: whole ones, in order.</summary>
    /// <param name="id">Of the answer.</param>
    /// <param name="position">Events passed.</param>
    /// <param name="output">Receives the bytes.</param>
    /// <param name="addEvent">Is told the length of each event in bytes, in order; null for nobody.</param>
    /// <param name="bytesMax">Copies at most this many bytes, or one event.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Events copied; 0 where there are none behind the position.</returns>
    ValueTask<int> ReadAsync(
        string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation);

    /// <summary>What was asked, and how far the engine had come; null where the answer is unknown.</summary>
    ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation);
}

namespace Sluice.Server.Storage;

/// <summary>What is wrong with a store.</summary>
public enum StoreFault
{
    /// <summary>It was made by a later version.</summary>
    Newer,

    /// <summary>Another program uses it.</summary>
    Locked,

    /// <summary>It can't be made, opened or written.</summary>
    Unwritable,

    /// <summary>It is damaged, or something else.</summary>
    Corrupt,

    /// <summary>There is no room for more.</summary>
    Full,

    /// <summary>Reading or writing failed.</summary>
    Failed,
}

/// <summary>A store of answers can't do what it was asked.</summary>
/// <param name="fault">What is wrong.</param>
/// <param name="message">One sentence for a person, with what to do.</param>
/// <param name="inner">The cause.</param>
public sealed class StoreException(StoreFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What is wrong.</summary>
    public StoreFault Fault => fault;
}

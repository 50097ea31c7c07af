namespace Sluice.Inference.Gguf;

/// <summary>
/// A GGUF file that cannot be used. The message is one sentence that names the file, the key or tensor, what was expected and what was
/// found.
/// </summary>
public sealed class GgufException : IOException
{
    /// <summary>An error without a message of its own.</summary>
    public GgufException()
    {
    }

    /// <summary>An error with one sentence for the user.</summary>
    public GgufException(string message)
        : base(message)
    {
    }

    /// <summary>An error with one sentence for the user and its cause.</summary>
    public GgufException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

namespace Sluice.Inference.Tokenization;

/// <summary>What a token is for; the numbers are the file's.</summary>
internal enum TokenType
{
    Undefined = 0,
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

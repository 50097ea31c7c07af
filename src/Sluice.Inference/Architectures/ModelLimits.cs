namespace Sluice.Inference.Architectures;

/// <summary>Bounds on what a file may claim about its model: several times the largest model known, so that a lie is refused early.</summary>
internal static class ModelLimits
{
    /// <summary>Layers; the largest open model has 126.</summary>
    public const int BlockCountMax = 1024;

    /// <summary>Values per token of any layer; the largest feed-forward width known is 53,248.</summary>
    public const int WidthMax = 1 << 20;

    /// <summary>Attention heads of a layer.</summary>
    public const int HeadCountMax = 1024;

    /// <summary>Values of one head; 576 is the largest in use.</summary>
    public const int HeadWidthMax = 1024;

    /// <summary>Tokens of context; models claim up to ten million.</summary>
    public const int ContextLengthMax = 1 << 28;

    /// <summary>Experts of a layer; the largest open model has 512.</summary>
    public const int ExpertCountMax = 4096;

    /// <summary>Singles of a sequence's state over all layers; the largest model known has 25 million.</summary>
    public const long StateCountMax = 1 << 28;
}

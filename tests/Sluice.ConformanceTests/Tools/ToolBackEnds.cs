namespace Sluice.ConformanceTests.Tools;

/// <summary>What may be behind the hub: the columns of <see cref="ToolCallTable"/>.</summary>
[Flags]
public enum ToolBackEnds
{
    /// <summary>The engine with the model that the repository carries, which knows nothing of tools; greedy.</summary>
    SmolLM2 = 1,

    /// <summary>The engine with a scripted source of tokens and a template of the Hermes family, as Qwen has it.</summary>
    Hermes = 2,

    /// <summary>The same with a template of Llama 3.</summary>
    Llama = 4,

    /// <summary>The same with a template of Mistral 7B or Nemo.</summary>
    MistralList = 8,

    /// <summary>The same with a template of Mistral Small.</summary>
    MistralNamed = 16,

    /// <summary>The same with a template of Granite 3.</summary>
    Granite = 32,

    /// <summary>The same with a template that knows nothing of tools.</summary>
    Generic = 64,

    /// <summary>A scripted server that speaks OpenAI's API.</summary>
    OpenAI = 128,

    /// <summary>A scripted server that speaks Anthropic's API.</summary>
    Anthropic = 256,

    /// <summary>The engine with each of the scripted sources.</summary>
    Scripted = Hermes | Llama | MistralList | MistralNamed | Granite | Generic,

    /// <summary>The engine, whatever the model.</summary>
    Engine = SmolLM2 | Scripted,

    /// <summary>Both scripted servers.</summary>
    Upstreams = OpenAI | Anthropic,
}

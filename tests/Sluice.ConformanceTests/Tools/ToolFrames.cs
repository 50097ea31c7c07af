using static Sluice.Testing.ScriptedUpstream;

namespace Sluice.ConformanceTests.Tools;

/// <summary>Frames of OpenAI-compatible servers with calls as they are seen in the wild.</summary>
internal static class ToolFrames
{
    public static string Delta(string delta) => Chunk($$"""{"index":0,"delta":{{delta}},"logprobs":null,"finish_reason":null}""");

    /// <summary>A role, one frame for each list of fragments, and the end.</summary>
    public static string[] Calls(params string[] fragments) =>
        [Role(), .. fragments.Select(fragment => Delta($$"""{"tool_calls":[{{fragment}}]}""")), Finish("tool_calls")];
}

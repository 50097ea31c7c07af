using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

public sealed class LocalGenerationSinkTests
{
    private sealed class Lease : IDisposable
    {
        public int DisposeCount { get; private set; }
        public void Dispose() => DisposeCount++;
    }

    private static readonly AnswerSnapshot s_frame = new()
    {
        ModelId = "m",
        ModelName = "m",
        Body = default,
        Created = 1700000000,
        RenderedAt = DateTimeOffset.UnixEpoch,
        Seed = 0,
    };

    private readonly Generation _generation = new("chatcmpl-1");
    private readonly Lease _lease = new();

    private static Attempt NewAttempt(Generation generation, ChatCompletionRequest request)
    {
        var figures = new RequestFigures(TimeProvider.System);
        return new Attempt(generation, Outline(request), new ClientRequest(default), [])
        {
            Commit = new CommitPoint(TimeProvider.System),
            Record = figures,
            Output = new LogWriter(generation.Log, figures, new ReaderGrace(generation.Log, TimeSpan.Zero, TimeProvider.System)),
        };
    }

    private static RequestOutline Outline(ChatCompletionRequest request) => new(request.Model)
    {
        IsStream = request.Stream,
        IncludesUsage = request.IncludeUsage,
        ChoiceCount = request.N,
        HasLogprobs = request.Logprobs,
        UsesFunctions = request.Functions is not null,
        ServiceTier = request.EffectiveServiceTier,
    };

    private LocalGenerationSink Create(ChatCompletionRequest request) => new(
        NewAttempt(_generation, request),
        request,
        s_frame,
        _lease,
        NullLogger.Instance);

    private static ChatCompletionRequest Request() => new() { Model = "the-name-asked-for", Messages = [], Stream = true };

    private string[] Events()
    {
        using var reader = _generation.Log.TryOpenReader()!;
        var output = new ArrayBufferWriter<byte>();
        reader.TryRead(output);
        return Encoding.UTF8.GetString(output.WrittenSpan).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
    }

    [Fact]
    public void The_input_of_a_custom_tool_goes_on_where_it_was_suspended()
    {
        using var tools = JsonDocument.Parse("""[{"type":"custom","custom":{"name":"run"}}]""");
        var sink = (IGenerationSink)Create(Request() with { Tools = tools.RootElement.Clone() });
        var arguments = Encoding.UTF8.GetBytes($$"""{"{{CustomInputReader.Argument}}":"say \"hi\"\n"}""");
        // In the middle of an escape.
        var half = arguments.Length - 9;
        sink.OnReplayedToolCall(0, 0, "run");
        sink.OnReplayedToolArguments(0, 0, arguments.AsSpan(0, half));
        sink.OnToolArguments(0, 0, arguments.AsSpan(half));

        var deltas = Events().Select(text => JsonDocument.Parse(text["data: ".Length..]).RootElement.GetProperty("choices")[0].GetProperty("delta"))
            .Where(delta => delta.TryGetProperty("tool_calls", out _)).ToArray();
        var delta = Assert.Single(deltas).GetProperty("tool_calls")[0];
        Assert.False(delta.TryGetProperty("function", out _));
        Assert.Equal("\"hi\"\n", delta.GetProperty("custom").GetProperty("input").GetString());
    }

    [Fact]
    public void Events_StandInTheOrderOfTheApi()
    {
        var sink = Create(Request() with { N = 2, IncludeUsage = true });
        Assert.Empty(Events());
        sink.OnText(1, "one"u8, []);
        sink.OnFinished(1, FinishReason.Length);
        sink.OnText(0, "zero"u8, []);
        sink.OnFinished(0, FinishReason.Stop);
        sink.OnCompleted(new GenerationUsage(7, 3, 5));

        string[] expected =
        [
            """[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}""",
            """[{"index":1,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}""",
            """[{"index":1,"delta":{"content":"one"},"logprobs":null,"finish_reason":null}],"usage":null}""",
            """[{"index":1,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}""",
            """[{"index":0,"delta":{"content":"zero"},"logprobs":null,"finish_reason":null}],"usage":null}""",
            """[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}""",
            """[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}""",
        ];
        const string Head = """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"the-name-asked-for","choices":""";
        Assert.Equal(expected.Select(tail => Head + tail), Events());
        Assert.Equal(StreamEndKind.Completed, _generation.Log.End!.Kind);
        Assert.Equal(1, _lease.DisposeCount);
    }

    // The recorded shape of the API: the first fragment names the call, the others bring arguments only (F-01, F-02).
    [Fact]
    public void ACall_HasAHeadAndArguments_AndARoleWithoutContent()
    {
        var sink = Create(Request());
        sink.OnReasoning(0, "Hm."u8);
        sink.OnToolCall(0, 0, "get_weather");
        sink.OnToolArguments(0, 0, "{\"a\": "u8);
        sink.OnToolArguments(0, 0, "\"ü\"}"u8);
        sink.OnToolCall(0, 1, "ping");
        sink.OnToolArguments(0, 1, "{}"u8);
        sink.OnFinished(0, FinishReason.ToolCalls);
        sink.OnCompleted(new GenerationUsage(7, 0, 9, 2));

        string[] expected =
        [
            """{"role":"assistant","content":null,"refusal":null},"logprobs":null,"finish_reason":null}]}""",
            """{"reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}""",
            """{"tool_calls":[{"index":0,"id":"call_1_0_0","type":"function","function":{"name":"get_weather","arguments":""}}]},"logprobs":null,"finish_reason":null}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\": "}}]},"logprobs":null,"finish_reason":null}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"\"ü\"}"}}]},"logprobs":null,"finish_reason":null}]}""",
            """{"tool_calls":[{"index":1,"id":"call_1_0_1","type":"function","function":{"name":"ping","arguments":""}}]},"logprobs":null,"finish_reason":null}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"logprobs":null,"finish_reason":null}]}""",
            """{},"logprobs":null,"finish_reason":"tool_calls"}]}""",
        ];
        const string Head = """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"the-name-asked-for","choices":[{"index":0,"delta":""";
        Assert.Equal(expected.Select(tail => Head + tail), Events());
    }

    [Fact]
    public void AFunctionCall_HasTheOlderForm()
    {
        using var functions = JsonDocument.Parse("[]");
        var sink = Create(Request() with { Functions = functions.RootElement });
        sink.OnToolCall(0, 0, "f");
        sink.OnToolArguments(0, 0, "{}"u8);
        sink.OnFinished(0, FinishReason.ToolCalls);
        sink.OnCompleted(default);
        Assert.Collection(
            Events()[1..],
            head => Assert.Contains("""{"function_call":{"name":"f","arguments":""}},"logprobs":null""", head, StringComparison.Ordinal),
            more => Assert.Contains("""{"function_call":{"arguments":"{}"}},"logprobs":null""", more, StringComparison.Ordinal),
            finish => Assert.EndsWith("\"finish_reason\":\"function_call\"}]}", finish, StringComparison.Ordinal));
    }

    [Fact]
    public void AnEmptyAnswer_HasARoleAndAFinish_AndNoUsageThatNobodyAskedFor()
    {
        var sink = Create(Request());
        sink.OnFinished(0, FinishReason.Stop);
        sink.OnCompleted(new GenerationUsage(7, 0, 1));
        Assert.Collection(
            Events(),
            role => Assert.Contains("\"role\":\"assistant\"", role, StringComparison.Ordinal),
            finish => Assert.EndsWith("\"finish_reason\":\"stop\"}]}", finish, StringComparison.Ordinal));
    }

    [Fact]
    public void Logprobs_StandBesideTheirText_AndAreNotRepeated()
    {
        var sink = Create(Request() with { Logprobs = true, TopLogprobs = 1 });
        sink.OnText(0, "a"u8, [new TokenLogprob(5, "a"u8.ToArray(), -0.5f, [new TokenAlternative(6, "b"u8.ToArray(), -0.25f)])]);
        sink.OnText(0, "c"u8, []);
        Assert.Contains(
            """{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-0.25,"bytes":[98]}]}]""",
            Events()[1], StringComparison.Ordinal);
        Assert.Contains("""{"content":"c"},"logprobs":{"content":[],"refusal":null}""", Events()[2], StringComparison.Ordinal);
        sink.OnFailed(new InvalidOperationException());
    }

    [Theory]
    [InlineData(CancellationCause.ClientLeft, StreamEndKind.Cancelled, null)]
    [InlineData(CancellationCause.Shutdown, StreamEndKind.Failed, 503)]
    [InlineData(CancellationCause.Deadline, StreamEndKind.Failed, 504)]
    public void TheThreeCancellations_StayApart(CancellationCause cause, StreamEndKind kind, int? status)
    {
        var sink = Create(Request());
        sink.OnText(0, "a"u8, []);
        _generation.Cancel(cause);
        sink.OnCancelled(default);
        Assert.Equal(kind, _generation.Log.End!.Kind);
        Assert.Equal(status, (_generation.Log.End.Failure as ApiError)?.Status);
        Assert.Equal(1, _lease.DisposeCount);
    }

    [Fact]
    public void AFailure_IsToldWithoutItsDetails()
    {
        Create(Request()).OnFailed(new InvalidOperationException("secret"));
        var error = Assert.IsType<ApiError>(_generation.Log.End!.Failure);
        Assert.Equal(500, error.Status);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _lease.DisposeCount);
    }

    [Fact]
    public void ASchema_ThatTheModelCannotWrite_IsTheRequestsFault()
    {
        Create(Request() with { ResponseSchema = new ResponseSchema("r", null) }).OnFailed(new Sluice.Inference.Grammars.GrammarException([], "the model can't write it"));
        var error = Assert.IsType<ApiError>(_generation.Log.End!.Failure);
        Assert.Equal((400, "response_format"), (error.Status, error.Param));
        Assert.Contains("the model can't write it", error.Message, StringComparison.Ordinal);
    }

    // The budget of the server's path of one token: from the engine's thread into the log, and from the log to a reader's buffer.
    [Fact]
    public void OneToken_FromTheEngineToAReadersBuffer_AllocatesNothing()
    {
        using var generation = new Generation("chatcmpl-1", new StreamLimits { HotBytes = 64 << 10 });
        var sink = new LocalGenerationSink(NewAttempt(generation, Request()), Request(), s_frame, _lease, NullLogger.Instance);
        using var reader = generation.Log.TryOpenReader()!;
        var output = new ArrayBufferWriter<byte>(1 << 16);
        Run(1000);

        Assert.Equal(0, AllocatedBytes.Least(() => Run(10_000)));
        sink.OnCompleted(default);

        void Run(int count)
        {
            for (var i = 0; i < count; i++)
            {
                sink.OnText(0, "⟨token⟩ \n"u8, []);
                reader.TryRead(output);
                output.ResetWrittenCount();
            }
        }
    }
}

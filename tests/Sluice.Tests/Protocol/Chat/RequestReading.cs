using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Xunit;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>Short ways to read a body and to state what comes of it.</summary>
internal static class RequestReading
{
    public const string Messages = """[{"role":"user","content":"hi"}]""";

    /// <summary>A valid body with further members.</summary>
    public static string Body(string members) => $$"""{"model":"m","messages":{{Messages}},{{members}}}""";

    /// <summary>A valid body but for its messages.</summary>
    public static string Conversation(string messages) => $$"""{"model":"m","messages":{{messages}}}""";

    public static ChatCompletionRequest Accept(string body)
    {
        Assert.True(ChatCompletionRequestReader.TryRead(Bytes(body), out var request, out var error), $"{error?.Message} for {body}");
        Assert.Null(error);
        return request;
    }

    public static ApiError Refuse(string body) => Refuse(Bytes(body));

    public static ApiError Refuse(ReadOnlySequence<byte> body)
    {
        Assert.False(ChatCompletionRequestReader.TryRead(body, out var request, out var error));
        Assert.Null(request);
        Assert.Equal(400, error.Status);
        Assert.Equal("invalid_request_error", error.Type);
        AssertFourKeys(error);
        return error;
    }

    public static void Refuse(string body, string message, string? param, string? code)
    {
        var error = Refuse(body);
        Assert.Equal((message, param, code), (error.Message, error.Param, error.Code));
    }

    public static string Write(ApiError error)
    {
        var output = new ArrayBufferWriter<byte>();
        error.WriteTo(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    public static void AssertFourKeys(ApiError error)
    {
        using var document = JsonDocument.Parse(Write(error));
        var only = Assert.Single(document.RootElement.EnumerateObject());
        Assert.Equal("error", only.Name);
        Assert.Equal(["message", "type", "param", "code"], only.Value.EnumerateObject().Select(member => member.Name));
        Assert.Equal(JsonValueKind.String, only.Value.GetProperty("message").ValueKind);
        Assert.NotEqual("", only.Value.GetProperty("message").GetString());
    }

    public static ReadOnlySequence<byte> Bytes(string text) => new(Encoding.UTF8.GetBytes(text));
}

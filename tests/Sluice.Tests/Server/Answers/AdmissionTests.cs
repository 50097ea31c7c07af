using System.Buffers;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Chat;
using Sluice.Server;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>Which answer a request gets, without a connection: the hub within a process, before a scripted server.</summary>
public sealed class AdmissionTests : IAsyncDisposable
{
    private readonly ServiceCollection _services = [];
    private ServiceProvider? _provider;
    private int _askCount;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_provider is null) return;
        await _provider.GetRequiredService<AnswerTable>().StopAsync(CancellationToken.None);
        await _provider.DisposeAsync();
    }

    private Admission Start(ScriptedUpstream upstream)
    {
        var options = ConfigurationFile.Parse("models:\n" + UpstreamHub.Model("m", upstream), "sluice.yaml", _ => null);
        _services.AddSingleton<IHostApplicationLifetime>(new Lifetime()).AddLogging(logging => logging.ClearProviders());
        _services.AddSingleton(UpstreamHub.QuickLimits).AddSluice(options, ModelCatalog.Create(options, []));
        _provider = _services.BuildServiceProvider();
        return _provider.GetRequiredService<Admission>();
    }

    private HubSnapshot Configuration => _provider!.GetRequiredService<Hub>().Current;

    private Ask Ask(string? body = null, ResumeWish? wish = null)
    {
        var bytes = Encoding.UTF8.GetBytes(body ?? UpstreamHub.Ask());
        ChatDialect.Instance.TryReadOutline(bytes, out var outline, out _);
        var fingerprint = RequestFingerprint.Of(new ReadOnlySequence<byte>(bytes), (wish ?? ResumeWish.None).NeedsCanonical);
        return new Ask(outline!, Configuration.Router.Find(outline!.Model)!, new ClientRequest(bytes), fingerprint)
        {
            Dialect = ChatDialect.Instance,
            AnswerId = $"chatcmpl-{++_askCount}",
            RequestId = $"req_{_askCount}",
            Started = TimeProvider.System.GetTimestamp(),
        };
    }

    private static ResumeWish Wish(string? key = null, string? id = null, long? position = null) =>
        new(key, position is { } events ? new Cursor(id, events) : null, false, DisconnectPolicy.Default);

    private static async Task<string> ReadAsync(AnswerConnection connection)
    {
        var events = new ArrayBufferWriter<byte>();
        while (connection.Cursor.TryRead(events, 1 << 20) is not ReadOutcome.Ended) await connection.Cursor.WaitAsync();
        return Encoding.UTF8.GetString(events.WrittenSpan);
    }

    private async Task<string> OutcomeAsync(Admission admission, Caller caller, ResumeWish wish, string? body = null)
    {
        var (admitted, error) = await admission.AdmitAsync(Ask(body, wish), caller, wish, Configuration, Cancellation);
        if (admitted is null) return error!.Code ?? error.Message;
        using var connection = admitted.Connection;
        await ReadAsync(connection);
        connection.SetSent();
        return $"{admitted.Way} {connection.Answer.Id}";
    }

    [Fact]
    public async Task A_request_creates_joins_resumes_or_is_refused()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        var admission = Start(upstream);
        Caller red = new("red"), blue = new("blue");
        var another = UpstreamHub.Ask(more: ",\"seed\":1");
        Assert.Equal("created chatcmpl-1", await OutcomeAsync(admission, red, Wish("k")));
        Assert.Equal("replayed chatcmpl-1", await OutcomeAsync(admission, red, Wish("k")));
        Assert.Equal("replayed chatcmpl-1", await OutcomeAsync(admission, red, Wish("k", position: 2)));
        Assert.Equal("replayed chatcmpl-1", await OutcomeAsync(admission, red, Wish(id: "chatcmpl-1", position: 1)));
        Assert.Equal("invalid_cursor", await OutcomeAsync(admission, red, Wish("k", position: 99)));
        Assert.Equal("invalid_cursor", await OutcomeAsync(admission, red, Wish(position: 1)));
        Assert.Equal("invalid_cursor", await OutcomeAsync(admission, red, Wish("k", position: 1), UpstreamHub.Ask(stream: false)));
        Assert.Equal("idempotency_key_reuse", await OutcomeAsync(admission, red, Wish("k"), another));
        Assert.Equal("request_mismatch", await OutcomeAsync(admission, red, Wish(id: "chatcmpl-1", position: 1), another));
        Assert.Equal("completion_not_found", await OutcomeAsync(admission, blue, Wish(id: "chatcmpl-1", position: 1)));
        Assert.Equal("completion_not_found", await OutcomeAsync(admission, blue, Wish("k", position: 1)));
        Assert.Equal("created chatcmpl-12", await OutcomeAsync(admission, blue, Wish("k")));
        Assert.Null(admission.FindOrCancelKey("later", red));
        Assert.Equal("generation_cancelled", await OutcomeAsync(admission, red, Wish("later")));
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task What_nobody_has_seen_goes_to_the_next_request_that_asks_the_same()
    {
        var release = new TaskCompletionSource();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await release.Task;
            await ScriptedUpstream.Says("a")(reply);
        });
        var admission = Start(upstream);
        var caller = new Caller("red");
        var (first, _) = await admission.AdmitAsync(Ask(), caller, ResumeWish.None, Configuration, Cancellation);
        first!.Connection.Dispose();
        Assert.Null((await admission.AdmitAsync(Ask(), new Caller("blue"), ResumeWish.None, Configuration, Cancellation)).Error);
        var (second, _) = await admission.AdmitAsync(Ask(), caller, ResumeWish.None, Configuration, Cancellation);
        Assert.Equal(("adopted", "chatcmpl-1"), (second!.Way, second.Connection.Answer.Id));
        release.SetResult();
        Assert.Contains("\"a\"", await ReadAsync(second.Connection), StringComparison.Ordinal);
        second.Connection.Dispose();
    }

    [Fact]
    public async Task The_answers_of_a_former_id_are_the_callers()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        var admission = Start(upstream);
        await OutcomeAsync(admission, new Caller("old"), Wish("k"));
        var caller = new Caller("new", "old");
        Assert.True(admission.TryFind("chatcmpl-1", caller, out _, out _));
        Assert.Equal("replayed chatcmpl-1", await OutcomeAsync(admission, caller, Wish("k")));
        Assert.Equal("replayed chatcmpl-1", await OutcomeAsync(admission, caller, Wish("k", position: 1)));
        Assert.Equal("chatcmpl-1", admission.FindOrCancelKey("k", caller)?.Id);
        await OutcomeAsync(admission, caller, Wish("l"));
        Assert.False(admission.TryFind("chatcmpl-4", new Caller("old"), out _, out var lost));
        Assert.Equal("completion_not_found", lost.Code);
    }

    private sealed class Lifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication()
        {
        }
    }
}

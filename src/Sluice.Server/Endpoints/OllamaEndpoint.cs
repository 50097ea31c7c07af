using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Inference;
using Sluice.Inference.Embeddings;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Ollama;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Ollama's own API below <c>/api/</c>: answers and vectors go the way of all others, and what is said here of models is read off the catalog. Models
/// are managed by files and the configuration, so what would change them is refused.
/// </summary>
internal sealed class OllamaEndpoint(
    AnswersEndpoint answers, RequestBody bodies, OllamaModels models, LoadedModels<InferenceEngine> engines, LoadedModels<EmbeddingModel> embedders,
    TimeProvider time)
{
    /// <summary>The version of Ollama whose API this is: its clients compare numbers, and refuse what is too old for them.</summary>
    public const string Version = "0.12.6";

    private const string VersionPath = "/api/version";
    private const string TagsPath = "/api/tags";
    private const string LoadedPath = "/api/ps";
    private const string ShowPath = "/api/show";

    /// <summary>All paths, as an application maps them.</summary>
    public static IReadOnlyList<string> Paths { get; } =
    [
        VersionPath, TagsPath, LoadedPath, ShowPath, OllamaDialect.Chat.Path, OllamaDialect.Generate.Path, OllamaEmbedDialect.Instance.Path,
        OllamaEmbedDialect.Older.Path, "/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete",
    ];

    /// <summary>Whether a path is one of these.</summary>
    public static bool IsAt(string path) => path.StartsWith("/api/", StringComparison.Ordinal) && Paths.Contains(path);

    /// <summary>Whether a path is only read.</summary>
    public static bool ReadsOnly(string path) => path is VersionPath or TagsPath or LoadedPath;

    /// <summary>Answers a request whose path and method have been checked.</summary>
    public Task InvokeAsync(HttpContext context, RequestScope scope, string path)
    {
        var known = scope.Configuration.Catalog.Models.Where(scope.Caller.MayUse);
        return path switch
        {
            VersionPath => JsonReply.WriteAsync(context, Encoding.ASCII.GetBytes($"{{\"version\":\"{Version}\"}}")),
            TagsPath => WriteAsync(context, output => OllamaModel.WriteList(
                output, known.SelectMany(static model => model.Aliases.Prepend(model.Id), models.Describe))),
            LoadedPath => WriteAsync(context, output => OllamaModel.WriteLoaded(output, models.ListLoaded(known))),
            _ when path == OllamaDialect.Chat.Path => AnswerAsync(context, scope, OllamaDialect.Chat),
            _ when path == OllamaDialect.Generate.Path => AnswerAsync(context, scope, OllamaDialect.Generate),
            _ when path == OllamaEmbedDialect.Instance.Path => EmbedAsync(context, scope, OllamaEmbedDialect.Instance),
            _ when path == OllamaEmbedDialect.Older.Path => EmbedAsync(context, scope, OllamaEmbedDialect.Older),
            ShowPath => ShowAsync(context, scope),
            _ => JsonReply.WriteErrorAsync(context, ApiErrors.NotServed(path, "models are files of the hub, which 'sluice pull' fetches and 'sluice rm' removes, or entries of its configuration")),
        };
    }

    private async Task AnswerAsync(HttpContext context, RequestScope scope, OllamaDialect dialect)
    {
        if (await ReadAsync(context) is not var (body, request)) return;
        var model = FindModel(scope, request.Model);
        if (request.IsEmpty && model is not null)
        {
            await LoadAsync(context, model, request, dialect.IsGenerate);
            return;
        }
        KeepAlive(model, request, isForNext: true);
        await answers.InvokeAsync(context, scope, dialect, body);
    }

    private async Task EmbedAsync(HttpContext context, RequestScope scope, OllamaEmbedDialect dialect)
    {
        if (await ReadAsync(context) is not var (body, request)) return;
        var asked = dialect.ToOpenAI(body, out var error);
        if (error is not null)
        {
            await JsonReply.WriteErrorAsync(context, error);
            return;
        }
        var model = FindModel(scope, request.Model);
        if (model is not null && dialect.HasNoInput(body))
        {
            await AnswerNothingAsync(context, model, request, dialect);
            return;
        }
        KeepAlive(model, request, isForNext: true);
        await answers.InvokeAsync(context, scope, dialect, asked);
    }

    // As Ollama does: the model is loaded, and no vectors come.
    private async Task AnswerNothingAsync(HttpContext context, ModelEntry model, OllamaModelRequest request, OllamaEmbedDialect dialect)
    {
        if (model is LocalModel local && await LoadAsync(local, context.RequestAborted) is { } failure)
        {
            await JsonReply.WriteErrorAsync(context, failure);
            return;
        }
        KeepAlive(model, request, isForNext: false);
        var output = new ArrayBufferWriter<byte>();
        dialect.WriteNothing(output, request.Model!);
        await JsonReply.WriteAsync(context, output.WrittenMemory);
    }

    private async Task ShowAsync(HttpContext context, RequestScope scope)
    {
        if (await ReadAsync(context) is not var (_, request)) return;
        if (request.Model is null) await JsonReply.WriteErrorAsync(context, ApiErrors.MissingModel());
        else if (FindModel(scope, request.Model) is { } model) await WriteAsync(context, models.Describe(model, request.Model).WriteTo);
        else await JsonReply.WriteErrorAsync(context, UnknownModel.Refuse(request.Model, scope.Configuration.Catalog, scope.Caller));
    }

    // A model of another server is as loaded as it can be.
    private async Task LoadAsync(HttpContext context, ModelEntry model, OllamaModelRequest request, bool isGenerate)
    {
        var unloads = request is { SaysKeepAlive: true, KeepAlive: { Ticks: 0 } };
        if (model is LocalModel local && !unloads && await LoadAsync(local, context.RequestAborted) is { } failure)
        {
            await JsonReply.WriteErrorAsync(context, failure);
            return;
        }
        KeepAlive(model, request, isForNext: false);
        var output = new ArrayBufferWriter<byte>();
        OllamaModelRequest.WriteDone(output, request.Model!, isGenerate, unloads ? "unload" : "load", time.GetUtcNow());
        await JsonReply.WriteAsync(context, output.WrittenMemory);
    }

    private async Task<ApiError?> LoadAsync(LocalModel model, CancellationToken cancellation)
    {
        if (model.ReadPurpose() == ModelPurpose.Text)
        {
            var (lease, error) = await engines.AcquireAsync(model, cancellation);
            lease?.Dispose();
            return error;
        }
        var (other, failure) = await embedders.AcquireAsync(model, cancellation);
        other?.Dispose();
        return failure;
    }

    private void KeepAlive(ModelEntry? model, OllamaModelRequest request, bool isForNext)
    {
        if (model is not LocalModel local || !request.SaysKeepAlive) return;
        if (local.ReadPurpose() == ModelPurpose.Text) engines.SetKeepAlive(local.Path, request.KeepAlive, isForNext);
        else embedders.SetKeepAlive(local.Path, request.KeepAlive, isForNext);
    }

    private static ModelEntry? FindModel(RequestScope scope, string? name)
    {
        if (name is null) return null;
        var catalog = scope.Configuration.Catalog;
        var model = catalog.Find(name) ?? (OllamaNames.WithoutTag(name) is { } plain ? catalog.Find(plain) : null);
        return model is not null && scope.Caller.MayUse(model) ? model : null;
    }

    private async Task<(byte[] Body, OllamaModelRequest Request)?> ReadAsync(HttpContext context)
    {
        var error = RequestBody.CheckContentType(context.Request, OllamaDialect.Chat);
        var body = Array.Empty<byte>();
        if (error is null) (body, error) = await bodies.ReadAsync(context);
        var request = error is null ? OllamaModelRequest.Read(body, out error) : null;
        if (error is null) return (body, request!);
        await JsonReply.WriteErrorAsync(context, error);
        return null;
    }

    private static Task WriteAsync(HttpContext context, Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return JsonReply.WriteAsync(context, output.WrittenMemory);
    }
}

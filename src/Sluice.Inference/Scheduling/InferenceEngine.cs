using System.Text.Json;
using System.Collections.Concurrent;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Tokenization;
using Sluice.Inference.ToolCalls;
using Sluice.Inference.Transformer;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// A loaded model and the thread that runs it. All members are safe to call from any thread; sinks are called on the engine's own.
/// Disposing fails what is still running.
/// </summary>
public sealed class InferenceEngine : IDisposable
{
    private const string StoppingMessage = "The engine is stopping.";

    private readonly LanguageModel _model;
    private readonly ChatPromptEncoder _prompts;
    private readonly RawPromptEncoder _rawPrompts;
    private readonly ConcurrentQueue<EngineGeneration> _submitted = new();
    private readonly SemaphoreSlim _wakeup = new(0);
    private readonly Lazy<TokenTrie> _tokenTrie;
    private readonly GenerationQueue _queue;
    private readonly EngineLoop _loop;
    private readonly Thread _thread;
    private volatile bool _stopping;

    internal InferenceEngine(LanguageModel model, EngineOptions options, TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.SlotCount, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.QueueCapacity, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(options.DraftTokensMax);
        _model = model;
        _queue = new GenerationQueue(options.QueueCapacity);
        _prompts = new ChatPromptEncoder(model.Tokenizer, model.ChatTemplate ?? ChatTemplate.Parse(DefaultTemplate));
        _rawPrompts = new RawPromptEncoder(model.Tokenizer);
        _tokenTrie = new Lazy<TokenTrie>(() => new TokenTrie(model.Tokenizer));
        _loop = new EngineLoop(model, options, _tokenTrie, time ?? TimeProvider.System, _queue);
        _thread = new Thread(Run) { IsBackground = true, Name = "sluice-engine" };
        _thread.Start();
    }

    /// <summary>Facts about the model.</summary>
    public ModelDescription Model => _model.Description;

    /// <summary>The model's tokenizer; safe to share.</summary>
    public Tokenizer Tokenizer => _model.Tokenizer;

    /// <summary>The model's own template, or null when its file has none and prompts use ChatML.</summary>
    public ChatTemplate? ChatTemplate => _model.ChatTemplate;

    /// <summary>Sequences that hold a slot.</summary>
    public int ActiveCount => _loop.ActiveCount;

    /// <summary>Generations accepted that have no slot yet.</summary>
    public int QueuedCount => _queue.Count;

    /// <summary>Tokens since the start that were guessed and computed before they were sampled.</summary>
    public long DraftedTokenCount => _loop.DraftedCount;

    /// <summary>Those of <see cref="DraftedTokenCount"/> that were then sampled: steps that were saved.</summary>
    public long AcceptedTokenCount => _loop.AcceptedCount;

    /// <summary>Estimate of the time until a waiting generation starts: 1 to 60 s.</summary>
    public TimeSpan RetryAfter => _loop.RetryAfter;

    // ChatML: what instruction-tuned files without a template most often mean.
    private static string DefaultTemplate =>
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    /// <summary>Loads a model and starts its thread. Blocks while the weights are repacked.</summary>
    /// <param name="ggufPath">The file.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="Gguf.GgufException">The file is broken or not supported; the message is one sentence for the user.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InsufficientMemoryException">The weights do not fit into the memory that is free.</exception>
    public static InferenceEngine Load(string ggufPath, EngineOptions? options = null)
    {
        options ??= new EngineOptions();
        LanguageModel model = TransformerModel.Load(
            ggufPath, options.ThreadCount, options.SlotCount, options.KvTokenCapacity, options.ContextLengthMax, options.CacheType);
        try
        {
            return new InferenceEngine(model, options);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Renders a conversation with the model's template and tokenises it. What users wrote never becomes a control token.</summary>
    /// <param name="messages">At least one.</param>
    /// <param name="time">For templates that print the date.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation.</exception>
    public IReadOnlyList<int> EncodeChat(IReadOnlyList<PromptMessage> messages, TimeProvider time) => EncodeChat(messages, null, time).Tokens;

    /// <summary>
    /// Renders a conversation and its tools with the model's template and tokenises it; a template that knows no tools gets them in the system
    /// text. What users and tools say never becomes a control token.
    /// </summary>
    /// <param name="messages">At least one.</param>
    /// <param name="tools">What the answer may call; null is nothing.</param>
    /// <param name="time">For templates that print the date.</param>
    /// <param name="variables">Further variables for the template; it ignores what it doesn't know.</param>
    /// <param name="ending">What the prompt ends with. The default value is the beginning of an answer.</param>
    /// <returns>The prompt, with the plan that belongs into <see cref="GenerationRequest.Answer"/>.</returns>
    /// <exception cref="ChatTemplateException">The template refuses the conversation.</exception>
    /// <exception cref="ToolSchemaException">A strict tool's schema can't be followed.</exception>
    public ChatPrompt EncodeChat(
        IReadOnlyList<PromptMessage> messages, PromptTools? tools, TimeProvider time, IReadOnlyDictionary<string, JsonElement>? variables = null,
        PromptEnding ending = PromptEnding.Answer) =>
        _prompts.Encode(messages, tools, time, variables, ending);

    /// <summary>Makes a prompt without a template. Special tokens are recognised in a text, and it begins as the file says; token ids stay as they are.</summary>
    /// <param name="input">An empty text stands for the token that a text begins with.</param>
    /// <exception cref="ArgumentException">A token id is not in the vocabulary.</exception>
    public RawPrompt EncodeRaw(PromptInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return input.Text is { } text ? _rawPrompts.Encode(text) : _rawPrompts.Encode(input.Tokens!);
    }

    /// <summary>Makes a prompt that asks for the text of a gap. Nothing in the texts around it becomes a control token.</summary>
    /// <param name="prefix">What is before the gap.</param>
    /// <param name="suffix">What is behind the gap.</param>
    /// <exception cref="ArgumentException">A token id is not in the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">The tokenizer has no <see cref="Tokenizer.FillInMiddle"/>.</exception>
    public RawPrompt EncodeGap(PromptInput prefix, string suffix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        return _rawPrompts.EncodeGap(
            prefix, suffix, Tokenizer.FillInMiddle ?? throw new InvalidOperationException("The model has no tokens for a gap in a text."));
    }

    /// <summary>Queues a generation.</summary>
    /// <param name="request">What to generate.</param>
    /// <param name="sink">Receives it.</param>
    /// <returns>
    /// A handle, or null when the queue is full; then <see cref="RetryAfter"/> says when to come again. Until it has a slot, the generation
    /// can still lose its place to a caller with fewer in the queue: then it fails with a <see cref="GenerationDisplacedException"/>.
    /// </returns>
    /// <exception cref="ArgumentException">A prompt is empty or leaves no room in the context, or a count is too small.</exception>
    /// <exception cref="GenerationDivergedException"><see cref="GenerationRequest.From"/> is of another model or another request.</exception>
    /// <exception cref="GrammarException">The grammar asks for a character that the model's vocabulary can't write.</exception>
    /// <exception cref="ObjectDisposedException">The engine is stopping.</exception>
    public EngineGeneration? TrySubmit(GenerationRequest request, IGenerationSink sink)
    {
        ObjectDisposedException.ThrowIf(_stopping, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(request.MaxTokens, request.Echo == null ? 1 : 0);
        ArgumentOutOfRangeException.ThrowIfLessThan(request.ChoiceCount, 1);
        CheckPrompts(request);

        if (request.Grammar != null && _prompts.Vocabulary.FindFault(request.Grammar) is { } fault)
        {
            throw fault;
        }

        if (request.Grammar != null || request.Answer is { HasTools: true })
        {
            // Made here, at the first request that needs it, for on the engine's thread every stream would wait.
            _ = _tokenTrie.Value;
        }

        var generation = new EngineGeneration(this, request, sink, Model.ContextLength);
        if (request.From is { } progress)
        {
            Replay(generation, progress);
        }

        if (!_queue.TryAdd(generation))
        {
            return null;
        }

        _submitted.Enqueue(generation);
        Wake();
        if (_stopping)
        {
            // The engine's thread may have looked for the last time already.
            FailSubmitted();
        }

        return generation;
    }

    /// <summary>Stops the thread, fails what is running and frees the model.</summary>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        Wake();
        _thread.Join();
        _wakeup.Dispose();
        _model.Dispose();
    }

    internal void Wake()
    {
        try
        {
            if (_wakeup.CurrentCount == 0)
            {
                _wakeup.Release();
            }
        }
        catch (ObjectDisposedException)
        {
            // A cancel that comes after the engine has stopped has nothing left to do.
        }
    }

    // A prompt that is only scored may fill the context.
    private void CheckPrompts(GenerationRequest request)
    {
        int lengthMax = Model.ContextLength - Math.Min(request.MaxTokens, 1);
        int index = 0;
        foreach (IReadOnlyList<int> prompt in request.Prompts)
        {
            if (prompt.Count == 0 || prompt.Count > lengthMax)
            {
                throw new ArgumentException($"Expected 1 to {lengthMax} prompt tokens, found {prompt.Count}.", nameof(request));
            }

            if (request.Echo != null && (index >= request.Echo.Count || request.Echo[index].TokenCount != prompt.Count))
            {
                throw new ArgumentException($"Expected the text of prompt {index} with {prompt.Count} tokens.", nameof(request));
            }

            index++;
        }
    }

    private void Replay(EngineGeneration generation, GenerationProgress progress)
    {
        if (progress.ModelIdentity != Model.Identity)
        {
            throw new GenerationDivergedException("The answer can't be resumed: the model's file has changed.");
        }

        if (progress.PromptDigest != generation.PromptDigest || progress.Choices.Count != generation.Choices.Length)
        {
            throw new GenerationDivergedException("The answer can't be resumed: its prompt has changed.");
        }

        var writer = new TokenWriter(_model.Tokenizer, _tokenTrie);
        foreach (ChoiceState choice in generation.Choices)
        {
            ChoiceReplay.Run(choice, progress.Choices[choice.Index], writer, _model.Tokenizer);
        }

        foreach (PromptState prompt in generation.Prompts)
        {
            ChoiceProgress reader = progress.Choices[prompt.FirstChoice];
            prompt.CachedTokens = Math.Min(reader.CachedPromptTokens, prompt.Tokens.Count);
            generation.Choices[prompt.FirstChoice].ReachedLength = reader.ReachedPromptTokens;
        }

        generation.StartedCount = generation.FinishedCount = generation.Choices.Count(static choice => choice.IsFinished);
        if (generation.FinishedCount == generation.Choices.Length)
        {
            throw new GenerationDivergedException("The answer can't be resumed: it is complete.");
        }
    }

    private void Run()
    {
        while (!_stopping)
        {
#pragma warning disable CA1031 // The one error door of this thread: whatever fails ends the generations that run, and the next ones are served.
            try
            {
                while (_submitted.TryDequeue(out EngineGeneration? generation))
                {
                    _loop.Accept(generation);
                }

                if (!_loop.Step())
                {
                    _wakeup.Wait();
                }
            }
            catch (Exception error)
            {
                _loop.FailAll(error);
            }
#pragma warning restore CA1031
        }

        _loop.FailAll(new OperationCanceledException(StoppingMessage));
        FailSubmitted();
    }

    private void FailSubmitted()
    {
        while (_submitted.TryDequeue(out EngineGeneration? generation))
        {
            _queue.Remove(generation);
            generation.Sink.OnFailed(new OperationCanceledException(StoppingMessage));
        }
    }
}

// A model file answers in this process, token by token.
// dotnet run -c Release --project samples/Console -- models/SmolLM2-135M-Instruct.Q4_1.gguf "Why is the sky blue?"
using Microsoft.Extensions.AI;
using Sluice.Extensions.AI;

if (args is not [var path, var question])
{
    Console.Error.WriteLine("Usage: Console MODEL.gguf \"QUESTION\"");
    return 2;
}

// Ctrl-C leaves the enumeration, which ends the generation.
using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    stop.Cancel();
};

try
{
    using var client = new SluiceChatClient(path);
    UsageDetails? usage = null;
    await foreach (var update in client.GetStreamingResponseAsync(question, new ChatOptions { MaxOutputTokens = 200 }, stop.Token))
    {
        Console.Write(update.Text);
        usage = update.Contents.OfType<UsageContent>().FirstOrDefault()?.Details ?? usage;
    }
    Console.WriteLine();
    Console.Error.WriteLine($"{usage?.InputTokenCount} tokens read, {usage?.OutputTokenCount} written");
    return 0;
}
catch (FileNotFoundException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 2;
}
catch (OperationCanceledException)
{
    return 130;
}

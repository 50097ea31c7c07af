// Semantic Kernel with a function, over any hub. It needs nothing of Sluice's own: the hub speaks OpenAI's API.
// dotnet run -c Release --project samples/SemanticKernel -- http://127.0.0.1:7070 smollm2-135m-instruct "What time is it in Rome?"
using System.ClientModel;
using System.ComponentModel;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.Connectors.OpenAI;
using OpenAI;

if (args is not [var address, var model, var question])
{
    Console.Error.WriteLine("Usage: SemanticKernel ADDRESS MODEL \"QUESTION\"");
    return 2;
}

var key = Environment.GetEnvironmentVariable("SLUICE_KEY") ?? "unused";
var options = new OpenAIClientOptions { Endpoint = new Uri(new Uri(address), "/v1") };
var builder = Kernel.CreateBuilder();
builder.AddOpenAIChatCompletion(model, new OpenAIClient(new ApiKeyCredential(key), options));
builder.Plugins.AddFromType<Clock>();
var kernel = builder.Build();
var settings = new OpenAIPromptExecutionSettings { FunctionChoiceBehavior = FunctionChoiceBehavior.Auto() };
await foreach (var piece in kernel.InvokePromptStreamingAsync(question, new KernelArguments(settings))) Console.Write(piece);
Console.WriteLine();
return 0;

internal sealed class Clock
{
    [KernelFunction("GetTime"), Description("The time of a city.")]
    public string GetTime([Description("Name of the city.")] string city) => $"It is noon in {city}.";
}

// An agent of Microsoft's Agent Framework with a function, over any hub: a model's own or one elsewhere.
// dotnet run -c Release --project samples/Agent -- http://127.0.0.1:7070 smollm2-135m-instruct "What time is it in Rome?"
using System.ComponentModel;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Sluice.Extensions.AI;

if (args is not [var address, var model, var question])
{
    Console.Error.WriteLine("Usage: Agent ADDRESS MODEL \"QUESTION\"");
    return 2;
}

using var http = new HttpClient { BaseAddress = new Uri(address), Timeout = Timeout.InfiniteTimeSpan };
if (Environment.GetEnvironmentVariable("SLUICE_KEY") is { } key) http.DefaultRequestHeaders.Authorization = new("Bearer", key);
using var client = new SluiceChatClient(http, model);
var agent = new ChatClientAgent(client, instructions: "Answer in one sentence.", tools: [AIFunctionFactory.Create(GetTime, "GetTime")]);
await foreach (var update in agent.RunStreamingAsync(question)) Console.Write(update.Text);
Console.WriteLine();
return 0;

[Description("The time of a city.")]
static string GetTime([Description("Name of the city.")] string city) => $"It is noon in {city}.";

using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Benchmarks;

/// <summary>Questions that need one of a few tools, and questions that need none.</summary>
/// <param name="Name">For the table.</param>
/// <param name="Tools">What may be called.</param>
/// <param name="Needing">Questions, each with the tool that it needs.</param>
/// <param name="Others">Questions that need none.</param>
internal sealed record ToolPrompts(string Name, PromptTool[] Tools, (string Question, string Tool)[] Needing, string[] Others)
{
    private static readonly PromptTool s_weather = Tool("get_weather", "Get current weather for a location", "location: City name");

    public const string GuideQuestion = "What's the weather in Berlin?";

    /// <summary>The guide's tool.</summary>
    public static PromptTool[] Guide { get; } = [s_weather];

    /// <summary>The threshold was chosen with these.</summary>
    public static ToolPrompts Chosen { get; } = new(
        "chosen with",
        [
            Tool("set_alarm", "Set an alarm clock", "time: Time of day"),
            Tool("play_music", "Play a song or an artist", "query: Song or artist"),
            Tool("find_restaurant", "Find restaurants near a place", "place: City or street", "cuisine: Kind of food"),
            Tool("get_stock_price", "Get the current price of a stock", "symbol: Ticker symbol"),
        ],
        [
            ("Wake me up at 7 am.", "set_alarm"), ("Set an alarm for half past six.", "set_alarm"), ("Can you set my alarm to 5:30 tomorrow?", "set_alarm"),
            ("Play some songs by the Beatles.", "play_music"), ("I want to hear Bohemian Rhapsody.", "play_music"), ("Put on some jazz music.", "play_music"),
            ("Where can I eat Italian food in Boston?", "find_restaurant"), ("Find me a sushi restaurant near Central Park.", "find_restaurant"),
            ("Is there a good pizza place in Naples?", "find_restaurant"), ("What is Apple's stock price?", "get_stock_price"),
            ("How much is one share of Tesla worth right now?", "get_stock_price"), ("Get me the current price of MSFT.", "get_stock_price"),
        ],
        [
            "Hi there!", "What is your name?", "Who painted the Mona Lisa?", "What is the capital of Japan?", "Tell me a story about a dragon.",
            "Write a haiku about autumn.", "Explain gravity to a child.", "What is 12 times 3?", "Give me some advice for a job interview.",
            "What is the opposite of 'hot'?", "How do plants grow?", "Thanks a lot!",
        ]);

    /// <summary>Three tools, twenty questions that need one, twenty that need none.</summary>
    public static ToolPrompts Forty { get; } = new(
        "forty questions",
        [
            s_weather,
            Tool("send_email", "Send an email to a person", "to: Recipient", "subject: Subject line", "body: Text of the email"),
            Tool("convert_currency", "Convert an amount of money from one currency to another", "amount: How much", "from: Currency code", "to: Currency code"),
        ],
        [
            ("What's the weather in Paris?", "get_weather"), ("Is it raining in London right now?", "get_weather"),
            ("How warm is it in Madrid today?", "get_weather"), ("Do I need an umbrella in Hamburg?", "get_weather"),
            ("Tell me the current temperature in Tokyo.", "get_weather"), ("What is the weather like in New York at the moment?", "get_weather"),
            ("Will it be sunny in Rome today?", "get_weather"), ("Send an email to Anna and tell her that the meeting is at 3 pm.", "send_email"),
            ("Email my boss that I am sick today.", "send_email"), ("Write a mail to bob@example.com with the subject Hello.", "send_email"),
            ("Please send Tom a message by email saying thank you for the gift.", "send_email"),
            ("Can you email Lisa the new address, 12 High Street?", "send_email"),
            ("Send a mail to support@example.com: my printer does not work.", "send_email"), ("Let Peter know by email that I will be late.", "send_email"),
            ("How much is 100 US dollars in euros?", "convert_currency"), ("Convert 250 GBP to JPY.", "convert_currency"),
            ("What are 50 euros in Swiss francs?", "convert_currency"), ("I have 1000 yen. How many dollars is that?", "convert_currency"),
            ("Change 75 Canadian dollars into US dollars.", "convert_currency"), ("How many rupees do I get for 20 euros?", "convert_currency"),
        ],
        [
            "Hello!", "How are you today?", "Who wrote Romeo and Juliet?", "What is the capital of France?", "Tell me a joke.",
            "Write a short poem about the sea.", "Explain what photosynthesis is.", "What is 2 + 2?", "Give me three tips for learning a language.",
            "What does the word 'serendipity' mean?", "Translate 'good morning' into French.", "Why is the sky blue?", "Who was Albert Einstein?",
            "List three primary colors.", "What is the largest planet in the solar system?", "Thank you, that was helpful.", "How do I boil an egg?",
            "What is a good name for a cat?", "Summarize the story of Cinderella in two sentences.", "What are the benefits of exercise?",
        ]);

    private static PromptTool Tool(string name, string description, params string[] parameters)
    {
        var pairs = parameters.Select(parameter => parameter.Split(": ")).ToArray();
        string properties = string.Join(",", pairs.Select(pair =>
            $"\"{pair[0]}\":{{\"type\":\"{(pair[0] == "amount" ? "number" : "string")}\",\"description\":\"{pair[1]}\"}}"));
        string required = string.Join(",", pairs.Select(pair => $"\"{pair[0]}\""));
        return new PromptTool(name, JsonElement.Parse(
            $"{{\"name\":\"{name}\",\"description\":\"{description}\",\"parameters\":{{\"type\":\"object\",\"properties\":{{{properties}}},\"required\":[{required}]}}}}"), false);
    }
}

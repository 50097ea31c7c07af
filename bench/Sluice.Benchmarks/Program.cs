using Sluice.Benchmarks;

return args switch
{
    ["engine", .. var rest] => EngineBenchmark.Run(Arguments.Parse(rest)),
    ["kernels", .. var rest] => KernelBenchmark.Run(Arguments.Parse(rest)),
    ["peers", .. var rest] => PeerBenchmark.Run(Arguments.Parse(rest)),
    ["grammar", .. var rest] => GrammarBenchmark.Run(Arguments.Parse(rest)),
    ["http", .. var rest] => await HttpBenchmark.RunAsync(Arguments.Parse(rest)),
    ["start", .. var rest] => await StartBenchmark.RunAsync(Arguments.Parse(rest)),
    ["prefix", .. var rest] => await PrefixBenchmark.RunAsync(Arguments.Parse(rest)),
    ["relay", .. var rest] => await Sluice.Benchmarks.Relay.RelayBenchmark.RunAsync(Arguments.Parse(rest)),
    ["resume", .. var rest] => await ResumeBenchmark.RunAsync(Arguments.Parse(rest)),
    ["ledger", .. var rest] => await LedgerBenchmark.RunAsync(Arguments.Parse(rest)),
    ["faults"] => await FaultsBenchmark.RunAsync(),
    ["speculation", .. var rest] => SpeculationBenchmark.Run(Arguments.Parse(rest)),
    ["tools", .. var rest] => ToolBenchmark.Run(Arguments.Parse(rest)),
    ["write-shape", .. var rest] => ShapeFiles.Write(rest),
    ["write-tiny", var folder] => TinyModelFiles.Write(folder),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        Usage: dotnet run -c Release --project bench/Sluice.Benchmarks -- VERB [--name value ...]
          engine   this engine alone: prompt and decode speed, memory bandwidth (--model, --threads)
          kernels  matrix products of one thread, by type and columns (--types, --path)
          peers    beside llama.cpp in alternating rounds (--llama DIR, --rounds, --model, --threads; --prompt, --context and --tokens as numbers; --streams 1,4,16)
          speculation  what guessing tokens from the text itself costs and brings (--rounds, --model, --threads)
          grammar  what a JSON schema costs: compiling, masks, tokens/s (--rounds, --model, --threads)
          http     both servers: first token, tokens/s, gaps (--llama DIR, --sluice FILE, --rounds, --model, --busy N for N busy threads beside them)
          start    from process start to ready and to the first token, of several builds (--sluice FILE[,FILE...], --llama DIR, --rounds, --model)
          prefix   what prompts have in common, and gaps beside a long prompt, over HTTP (--sluice FILE, --llama DIR for llama-server beside it, --rounds, --model)
          relay    what the hub costs between client and server, beside nginx and Portkey (--nginx FILE, --portkey start-server.js, --node FILE, --sluice FILE, --stores off,sqlite for hubs that keep answers otherwise, --streams, --stopped, --part one|many, --peers off for the hub alone, --rounds)
          ledger   from process start to ready with a ledger of many keys and rows (--keys, --rows, --rounds, --sluice FILE)
          faults   the sixteen faults of FailoverBench with its own timings: a score card
          resume   streams over connections that are cut: time to the first missing byte, and what is lost (--cuts, --seed)
          tools    how often the shipped model decides right about tools (--model, --threads, --seeds, --verbose true)
          write-shape NAME FILE  a file at the shape of a model that people run, with random weights, for peers --model
          write-tiny DIR  small random models, for make_tiny_truth.py and make_architecture_truth.py in tests/reference
        """);
    return 2;
}

using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Cli.Doctor;

/// <summary>Whether there are models, and whether the engine can run them here.</summary>
internal static class ModelChecks
{
    /// <param name="options">Validated.</param>
    /// <param name="folders">Where files are looked for.</param>
    /// <param name="noModels">What a user reads who has no model.</param>
    public static IEnumerable<Finding> Run(SluiceOptions options, IReadOnlyList<string> folders, string noModels)
    {
        ModelCatalog catalog;
        List<Finding> missing = [];
        try
        {
            catalog = ModelCatalog.Create(options, folders);
        }
        catch (ConfigurationException exception)
        {
            missing.AddRange(exception.Errors.Select(static error => Finding.Wrong("models", error.ToString())));
            catalog = new ModelCatalog([]);
        }

        foreach (var finding in missing) yield return finding;
        if (missing.Count == 0 && catalog.Models.Count == 0) yield return Finding.Wrong("models", noModels);
        var budget = options.MemoryBudgetBytes ?? MachineMemory.Bytes / 10 * 8;
        foreach (var model in catalog.Models.OfType<LocalModel>()) yield return Check(model, budget);
    }

    private static Finding Check(LocalModel model, long budget)
    {
        try
        {
            ModelProbe.Check(model.Path);
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            return Finding.Wrong("models", exception.Message);
        }

        return model.FileBytes <= budget
            ? Finding.Fine("models", $"{model.Id} can be served, {ByteSize.Format(model.FileBytes)}")
            : Finding.Wrong(
                "models", $"{model.Id} needs {ByteSize.Format(model.FileBytes)}, and the memory budget is {ByteSize.Format(budget)}; use a smaller model, or 'sluice quantize'");
    }
}

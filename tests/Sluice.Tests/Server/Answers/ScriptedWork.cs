using Sluice.Server.Upstreams;

namespace Sluice.Tests.Server.Answers;

/// <summary>Work that can be suspended, and does nothing but what a test says.</summary>
/// <param name="snapshot">Taken when somebody wants one; null has none.</param>
internal sealed class ScriptedWork(Func<AnswerSnapshot?>? snapshot = null) : ISuspendable
{
    /// <summary>Whether it has been told to stop.</summary>
    public bool IsTold { get; private set; }

    public void Suspend() => IsTold = true;

    public void Cancel()
    {
    }

    public AnswerSnapshot? TrySnapshot() => snapshot?.Invoke();
}

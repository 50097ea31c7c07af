using System.Globalization;

namespace Sluice.Cli.Chat;

/// <summary>Shows that an answer is on its way, in one line that is gone when its first text comes.</summary>
internal sealed class Spinner : IDisposable
{
    private const string Clear = "\r\u001B[K";
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);
    private static readonly string[] s_pictures = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    private static readonly string[] s_letters = ["|", "/", "-", "\\"];

    private readonly Terminal _terminal;
    private readonly Lock _lock = new();
    private readonly string[] _frames;
    private readonly long _start;
    private readonly ITimer _timer;
    private int _count;
    private bool _isOver;

    public Spinner(Terminal terminal)
    {
        _terminal = terminal;
        _frames = IsUnicode(terminal) ? s_pictures : s_letters;
        _start = terminal.Time.GetTimestamp();
        _timer = terminal.Time.CreateTimer(static state => ((Spinner)state!).Draw(), this, TimeSpan.Zero, s_interval);
    }

    /// <summary>Takes the line away. Nothing is drawn any more when this returns.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isOver) return;
            _isOver = true;
            if (_count > 0)
            {
                _terminal.Output.Write(Clear);
                _terminal.Output.Flush();
            }
        }

        _timer.Dispose();
    }

    private static bool IsUnicode(Terminal terminal) =>
        (terminal.GetVariable("LC_ALL") ?? terminal.GetVariable("LC_CTYPE") ?? terminal.GetVariable("LANG") ?? "").Replace("-", "", StringComparison.Ordinal)
            .Contains("UTF8", StringComparison.OrdinalIgnoreCase);

    private void Draw()
    {
        lock (_lock)
        {
            if (_isOver) return;
            var seconds = _terminal.Time.GetElapsedTime(_start).TotalSeconds;
            _terminal.Output.Write(string.Create(CultureInfo.InvariantCulture, $"{Clear}{_frames[_count++ % _frames.Length]} reading, {seconds:0.0} s"));
            _terminal.Output.Flush();
        }
    }
}

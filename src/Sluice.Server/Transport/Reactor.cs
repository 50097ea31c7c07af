using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Sluice.Streaming;

namespace Sluice.Server.Transport;

/// <summary>
/// One thread that waits for many sockets and does what follows itself. Where an upstream's socket and its client's are of one reactor, a
/// token goes from the one to the other without a change of threads.
/// </summary>
/// <remarks>There is one for each processor, for the whole process and its whole life. What runs on it must not block.</remarks>
[SupportedOSPlatform("linux")]
internal sealed unsafe class Reactor
{
    private const int EventsMax = 256;

    // The wake-up's place in the table of wires.
    private const ulong WakeUp = ulong.MaxValue;

    // struct epoll_event is packed on x86-64 alone.
    private static readonly int s_dataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int s_entrySize = s_dataOffset + 8;

    private static readonly Lazy<Reactor[]> s_all = new(static () => [.. Enumerable.Range(0, Environment.ProcessorCount).Select(static i => new Reactor(i))]);

    [ThreadStatic]
    private static Reactor? t_current;

    private readonly int _poll;
    private readonly int _counter;
    private readonly ConcurrentQueue<ReactorWire> _posted = new();
    private readonly Lock _lock = new();
    private readonly Stack<int> _free = new();
    private (ReactorWire? Wire, uint Age)[] _wires = new (ReactorWire?, uint)[64];
    private int _used;
    private int _count;
    private int _isWoken;

    private Reactor(int index)
    {
        Index = index;
        _poll = Check(LinuxCalls.CreatePoll(LinuxCalls.CloseOnExec));
        _counter = Check(LinuxCalls.CreateCounter(0, LinuxCalls.CloseOnExec));
        var entry = stackalloc byte[s_entrySize];
        Write(entry, LinuxCalls.In, WakeUp);
        Check(LinuxCalls.Control(_poll, LinuxCalls.Add, _counter, entry));
        new Thread(Run) { IsBackground = true, Name = $"Reactor {index}" }.Start();
    }

    /// <summary>How many there are.</summary>
    public static int Count => s_all.Value.Length;

    /// <summary>The one whose thread this is; null elsewhere.</summary>
    public static Reactor? Current => t_current;

    public int Index { get; }

    /// <summary>This thread's, or the one with the fewest sockets.</summary>
    public static Reactor Choose() => t_current ?? FindIdlest();

    /// <summary>The one with the fewest sockets.</summary>
    public static Reactor FindIdlest()
    {
        var all = s_all.Value;
        var best = all[0];
        foreach (var reactor in all)
        {
            if (Volatile.Read(ref reactor._count) < Volatile.Read(ref best._count)) best = reactor;
        }
        return best;
    }

    /// <summary>From now on the wire is told of edges.</summary>
    /// <returns>Its place, for <see cref="Remove"/>.</returns>
    /// <exception cref="IOException">The system has no room for it.</exception>
    public int Add(ReactorWire wire, SafeHandle socket)
    {
        int place;
        ulong key;
        lock (_lock)
        {
            if (!_free.TryPop(out place))
            {
                if (_used == _wires.Length) Array.Resize(ref _wires, _used * 2);
                place = _used++;
            }
            _wires[place].Wire = wire;
            key = ((ulong)_wires[place].Age << 32) | (uint)place;
            _count++;
        }
        var entry = stackalloc byte[s_entrySize];
        Write(entry, LinuxCalls.In | LinuxCalls.Out | LinuxCalls.PeerHangUp | LinuxCalls.EdgeTriggered, key);
        if (LinuxCalls.Control(_poll, LinuxCalls.Add, socket, entry) == 0) return place;
        var error = Marshal.GetLastPInvokeError();
        Remove(place);
        throw new IOException("The system can't watch the socket.", new Win32Exception(error));
    }

    /// <summary>Edges that are under way are not told any more. The system forgets the socket when it is closed.</summary>
    public void Remove(int place)
    {
        lock (_lock)
        {
            _wires[place].Wire = null;
            _wires[place].Age++;
            _free.Push(place);
            _count--;
        }
    }

    /// <summary>Has the wire signalled on the reactor's thread. From any thread.</summary>
    public void Post(ReactorWire wire)
    {
        _posted.Enqueue(wire);
        if (Interlocked.Exchange(ref _isWoken, 1) != 0) return;
        var one = 1UL;
        LinuxCalls.Write(_counter, &one, sizeof(ulong));
    }

    private void Run()
    {
        t_current = this;
        StreamLog.RunReadersOnThisThread();
        var entries = stackalloc byte[s_entrySize * EventsMax];
        while (true)
        {
            var count = LinuxCalls.Wait(_poll, entries, EventsMax, -1);
            for (var i = 0; i < count; i++)
            {
                var entry = entries + (i * s_entrySize);
                var key = Marshal.ReadInt64((nint)(entry + s_dataOffset));
                if (unchecked((ulong)key) == WakeUp) RunPosted();
                else Find(unchecked((ulong)key))?.OnEdge(*(uint*)entry);
            }
        }
    }

    private void RunPosted()
    {
        ulong count;
        LinuxCalls.Read(_counter, &count, sizeof(ulong));
        // A fence: who posts from now on wakes again, or is seen below.
        Interlocked.Exchange(ref _isWoken, 0);
        // Those that are posted meanwhile have their turn behind the sockets.
        for (var rest = _posted.Count; rest > 0 && _posted.TryDequeue(out var wire); rest--) wire.SignalAll();
    }

    private ReactorWire? Find(ulong key)
    {
        lock (_lock)
        {
            var (wire, age) = _wires[(int)(uint)key];
            return age == (uint)(key >> 32) ? wire : null;
        }
    }

    private static void Write(byte* entry, uint events, ulong data)
    {
        *(uint*)entry = events;
        Marshal.WriteInt64((nint)(entry + s_dataOffset), unchecked((long)data));
    }

    private static int Check(int result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());
}

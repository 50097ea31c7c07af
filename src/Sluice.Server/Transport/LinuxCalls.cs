using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Sluice.Server.Transport;

/// <summary>The system calls that the reactor is made of. Those that take a socket's handle hold on to it while they run.</summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class LinuxCalls
{
    public const int TryAgain = 11;
    public const int Interrupted = 4;
    public const int BrokenPipe = 32;
    public const int ConnectionReset = 104;
    public const int InProgress = 115;

    // From <sys/epoll.h>.
    public const int CloseOnExec = 0x80000;
    public const int Add = 1;
    public const uint In = 0x1;
    public const uint Out = 0x4;
    public const uint Error = 0x8;
    public const uint HangUp = 0x10;
    public const uint PeerHangUp = 0x2000;
    public const uint EdgeTriggered = 1u << 31;

    // From <sys/socket.h>.
    public const int Peek = 0x2;
    public const int DontWait = 0x40;
    public const int NoSignal = 0x4000;

    private const string C = "libc";

    [LibraryImport(C, EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int CreatePoll(int flags);

    [LibraryImport(C, EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int Control(int poll, int operation, int file, byte* entry);

    [LibraryImport(C, EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int Control(int poll, int operation, SafeHandle socket, byte* entry);

    [LibraryImport(C, EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int Wait(int poll, byte* entries, int count, int milliseconds);

    [LibraryImport(C, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int CreateCounter(uint value, int flags);

    [LibraryImport(C, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int file, void* buffer, nint count);

    [LibraryImport(C, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int file, void* buffer, nint count);

    [LibraryImport(C, EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(SafeHandle socket, byte* address, uint length);

    [LibraryImport(C, EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(SafeHandle socket, byte* buffer, nint count, int flags);

    [LibraryImport(C, EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(SafeHandle socket, byte* buffer, nint count, int flags);

    [LibraryImport(C, EntryPoint = "sendmsg", SetLastError = true)]
    public static partial nint SendMany(SafeHandle socket, Message* message, int flags);

    /// <summary><c>struct iovec</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Piece
    {
        public byte* Bytes;
        public nint Count;
    }

    /// <summary><c>struct msghdr</c> of 64-bit systems.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Message
    {
        public void* Name;
        public uint NameLength;
        public Piece* Pieces;
        public nint PieceCount;
        public void* Control;
        public nint ControlLength;
        public int Flags;
    }
}

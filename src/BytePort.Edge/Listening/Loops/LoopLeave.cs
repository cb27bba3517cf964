using System.Runtime.CompilerServices;

namespace BytePort.Edge.Listening.Loops;

/// <summary>Awaited, it goes on in the thread pool, or stays where it is.</summary>
internal readonly struct LoopLeave(bool stay) : ICriticalNotifyCompletion
{
    public bool IsCompleted => stay || Thread.CurrentThread.IsThreadPoolThread;

    public LoopLeave GetAwaiter() => this;

    public void GetResult()
    {
    }

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation) =>
        ThreadPool.UnsafeQueueUserWorkItem(static next => next(), continuation, preferLocal: false);
}

internal import Synchronization

/// Takes the spans that have ended. Called by the code that is measured: it must not wait, and it must not fail; what it can't
/// keep it drops and counts.
public protocol SpanSink: Sendable {
  func record(_ span: FinishedSpan)
}

/// Keeps the newest spans in memory, for tests.
public final class MemorySpanSink: SpanSink {
  private let state = Mutex<[FinishedSpan]>([])
  private let capacity: Int

  public init(capacity: Int = 10_000) { self.capacity = capacity }

  public func record(_ span: FinishedSpan) {
    state.withLock { spans in
      spans.append(span)
      if spans.count > capacity { spans.removeFirst(spans.count - capacity) }
    }
  }

  /// In the order in which they ended.
  public var spans: [FinishedSpan] { state.withLock { $0 } }
}

internal import Money
internal import Synchronization

/// Where callers wait for the end of a payment that this process runs. A caller that gives up only stops waiting.
final class CompletionBoard: Sendable {
  /// How a saga ended here.
  struct Completion: Hashable, Sendable {
    let state: PaymentRecord.State
    /// The reply, encoded; for a final state, the stored one.
    let reply: [UInt8]
  }

  /// One caller's place. Take it before looking whether the payment is finished, so that no end goes unseen.
  final class Ticket: Sendable {
    fileprivate let id: PaymentID
    private struct State {
      var completion: Completion?
      var waiter: (number: Int, continuation: CheckedContinuation<Completion?, Never>)?
      var waits = 0
    }
    private let state = Mutex(State())

    fileprivate init(_ id: PaymentID) { self.id = id }

    /// Waits for the end. Nil if `limit` passes, or the task is cancelled, before.
    func wait(until limit: ContinuousClock.Instant) async -> Completion? {
      let number = state.withLock { state in
        state.waits += 1
        return state.waits
      }
      let timer = Task {
        do { try await Task.sleep(until: limit, clock: .continuous) } catch { return }
        self.giveUp(number)
      }
      defer { timer.cancel() }
      return await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let known: Completion?? = state.withLock { state in
            if let completion = state.completion { return .some(completion) }
            if Task.isCancelled || limit <= .now { return .some(nil) }
            state.waiter = (number, continuation)
            return nil
          }
          if let known { continuation.resume(returning: known) }
        }
      } onCancel: {
        giveUp(number)
      }
    }

    private func giveUp(_ number: Int) {
      let waiter = state.withLock { state -> CheckedContinuation<Completion?, Never>? in
        guard state.waiter?.number == number else { return nil }
        defer { state.waiter = nil }
        return state.waiter?.continuation
      }
      waiter?.resume(returning: nil)
    }

    fileprivate func complete(_ completion: Completion) {
      let waiter = state.withLock { state in
        state.completion = completion
        defer { state.waiter = nil }
        return state.waiter?.continuation
      }
      waiter?.resume(returning: completion)
    }
  }

  private let tickets = Mutex<[PaymentID: [ObjectIdentifier: Ticket]]>([:])

  /// A place to wait at; to be given back.
  func ticket(for id: PaymentID) -> Ticket {
    let ticket = Ticket(id)
    tickets.withLock { $0[id, default: [:]][ObjectIdentifier(ticket)] = ticket }
    return ticket
  }

  func giveBack(_ ticket: Ticket) {
    tickets.withLock { tickets in
      tickets[ticket.id]?[ObjectIdentifier(ticket)] = nil
      if tickets[ticket.id]?.isEmpty == true { tickets[ticket.id] = nil }
    }
  }

  func complete(_ id: PaymentID, _ completion: Completion) {
    let waiting = tickets.withLock { $0[id].map { Array($0.values) } ?? [] }
    for ticket in waiting { ticket.complete(completion) }
  }

  /// Callers that wait now.
  var waiting: Int { tickets.withLock { $0.values.reduce(0) { $0 + $1.count } } }
}

internal import LedgerRules
internal import MeshProtocol
internal import Postgres

/// A submission on its way into a batch, and what happened to it so far.
struct Trial: Sendable {
  /// Attempts that failed for reasons of the database's own, at most; then the caller is told that nobody knows.
  static let attemptLimit = 10
  /// Refusals by the database of this one alone, at most; then the caller is told why.
  static let refusalLimit = 2

  let submission: Submission
  /// Batches that it was sent in. They may have committed, whatever we were told.
  var sentIn: Set<Int64> = []
  var failures = 0
  var refusalsAlone = 0

  init(_ submission: Submission) { self.submission = submission }

  /// Its decisions as the caller should see them: what a lost answer had already decided is not "decided before".
  func answer(_ decisions: [Decision]) {
    submission.answer(
      .success(
        decisions.map { decision in
          var decision = decision
          if sentIn.contains(decision.batchNumber) { decision.existed = false }
          return decision
        }))
  }

  /// The database can't be reached, or not written to.
  func giveUp(_ why: String) {
    submission.answer(
      .failure(
        RPCError(
          .unavailable, "the ledger cannot write now (\(why)); look the posting up by its id, or send it again under the same id",
          executed: sentIn.isEmpty ? .no : .unknown, retryAfter: .seconds(1))))
  }

  /// The database refuses it, alone and twice: it is not booked, and never will be as it is.
  func refuse(_ why: String) {
    submission.answer(
      .failure(RPCError(.internal, "the database refused this posting twice by itself; nothing was booked: \(why)", executed: .no)))
  }
}

/// Why a batch did not commit: whose fault that is decides what is tried next.
enum BatchFailure: Sendable {
  /// A row that the database does not accept.
  case content(String)
  /// The connection, the server, another writer, the clock.
  case circumstances(String)

  init(_ error: any Error) {
    guard let error = error as? PostgresError, let state = error.sqlState, !error.isUnavailable else {
      self = .circumstances("\(error)")
      return
    }
    // Another writer was first (the fence: unique and foreign keys), or got in the way (serialization, deadlock, lock timeout).
    let byOthers: Set<String> = ["23505", "23503", "40001", "40P01", "55P03"]
    self = byOthers.contains(state) ? .circumstances(error.description) : .content(error.description)
  }

  var label: String {
    switch self {
    case .content: "content"
    case .circumstances: "circumstances"
    }
  }

  var why: String {
    switch self {
    case .content(let why), .circumstances(let why): why
    }
  }
}
